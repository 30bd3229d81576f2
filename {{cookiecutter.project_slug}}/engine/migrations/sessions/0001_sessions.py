"""Sessions."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "sessions_0001"
down_revision: str | None = None
branch_labels: str | None = "sessions"
depends_on: str | None = "core_0001"

SESSIONS = f"{TABLE_PREFIX}sessions"

tables = (SESSIONS,)


def upgrade() -> None:
    op.create_table(
        SESSIONS,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        _time("created_at"),
        _time("seen_at"),
        sa.PrimaryKeyConstraint("user_id", "id", name=f"{SESSIONS}_pkey"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            [f"{TABLE_PREFIX}users.id"],
            name=f"{SESSIONS}_user_id_fkey",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table(SESSIONS)


def _time(name: str) -> "sa.Column[object]":
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )
