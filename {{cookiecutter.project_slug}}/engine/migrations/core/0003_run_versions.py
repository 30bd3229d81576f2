"""Each run keeps hashes of the instructions and the tools that it had."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "core_0003"
down_revision: str | None = "core_0002"
branch_labels: str | None = None
depends_on: str | None = None

RUNS = f"{TABLE_PREFIX}runs"


def upgrade() -> None:
    op.add_column(RUNS, sa.Column("instructions_hash", sa.Text(), nullable=True))
    op.add_column(RUNS, sa.Column("tools_hash", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column(RUNS, "tools_hash")
    op.drop_column(RUNS, "instructions_hash")
