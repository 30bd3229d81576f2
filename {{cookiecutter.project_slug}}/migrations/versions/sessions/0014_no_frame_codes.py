"""Removes the codes for frames from the table of sessions: they have a table of their own."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "0014"
down_revision: str | None = "{{ cookiecutter.__revisions.split(',0014')[0][-4:] }}"
branch_labels: str | None = None
depends_on: str | None = None

SESSIONS = f"{TABLE_PREFIX}sessions"


def upgrade() -> None:
    op.drop_column(SESSIONS, "frame_code_at")
    op.drop_column(SESSIONS, "frame_code")


def downgrade() -> None:
    op.add_column(SESSIONS, sa.Column("frame_code", sa.Text(), nullable=True))
    op.add_column(SESSIONS, sa.Column("frame_code_at", sa.DateTime(timezone=True), nullable=True))
