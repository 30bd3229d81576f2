"""Codes that a frame exchanges for a session."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "frames_0001"
down_revision: str | None = None
branch_labels: str | None = "frames"
depends_on: str | None = "sessions_0001"

FRAME_CODES = f"{TABLE_PREFIX}frame_codes"
SESSIONS = f"{TABLE_PREFIX}sessions"

tables = (FRAME_CODES,)


def upgrade() -> None:
    op.create_table(
        FRAME_CODES,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "session_id", name=f"{FRAME_CODES}_pkey"),
        sa.ForeignKeyConstraint(
            ["user_id", "session_id"],
            [f"{SESSIONS}.user_id", f"{SESSIONS}.id"],
            name=f"{FRAME_CODES}_user_id_session_id_fkey",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table(FRAME_CODES)
