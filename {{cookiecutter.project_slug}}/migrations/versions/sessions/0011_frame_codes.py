"""Codes for frames, in the table of sessions. Migration 0014 removes them again."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "0011"
down_revision: str | None = "{{ cookiecutter.__revisions.split(',0011')[0][-4:] }}"
branch_labels: str | None = None
depends_on: str | None = None

SESSIONS = f"{TABLE_PREFIX}sessions"


def upgrade() -> None:
    op.add_column(SESSIONS, sa.Column("frame_code", sa.Text(), nullable=True))
    op.add_column(SESSIONS, sa.Column("frame_code_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column(SESSIONS, "frame_code_at")
    op.drop_column(SESSIONS, "frame_code")
