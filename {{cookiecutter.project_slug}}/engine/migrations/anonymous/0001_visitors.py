"""The usage of visitors, per network address and in total."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "anonymous_0001"
down_revision: str | None = None
branch_labels: str | None = "anonymous"
depends_on: str | None = "core_0001"

VISITOR_USE = f"{TABLE_PREFIX}visitor_use"

tables = (VISITOR_USE,)


def upgrade() -> None:
    op.create_table(
        VISITOR_USE,
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("full_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("running", sa.Integer(), server_default="0", nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("who", name=f"{VISITOR_USE}_pkey"),
    )


def downgrade() -> None:
    op.drop_table(VISITOR_USE)
