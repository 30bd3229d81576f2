"""Users who were erased, and how far sweeps are."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "core_0004"
down_revision: str | None = "core_0003"
branch_labels: str | None = None
depends_on: str | None = None

ERASED_USERS = f"{TABLE_PREFIX}erased_users"
SWEEPS = f"{TABLE_PREFIX}sweeps"

tables = (ERASED_USERS, SWEEPS)


def upgrade() -> None:
    op.create_table(
        ERASED_USERS,
        sa.Column("id_hash", sa.Text(), nullable=False),
        _time("erased_at"),
        sa.PrimaryKeyConstraint("id_hash", name=f"{ERASED_USERS}_pkey"),
    )
    op.create_table(
        SWEEPS,
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("cursor", sa.Text(), server_default="", nullable=False),
        _time("ended_at"),
        sa.PrimaryKeyConstraint("name", name=f"{SWEEPS}_pkey"),
    )


def downgrade() -> None:
    op.drop_table(SWEEPS)
    op.drop_table(ERASED_USERS)


def _time(name: str) -> "sa.Column[object]":
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )
