"""ID tokens."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "0007"
down_revision: str | None = "{{ cookiecutter.__revisions.split(',0007')[0][-4:] }}"
branch_labels: str | None = None
depends_on: str | None = None

ID_TOKENS = f"{TABLE_PREFIX}id_tokens"
SESSIONS = f"{TABLE_PREFIX}sessions"


def upgrade() -> None:
    op.create_table(
        ID_TOKENS,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Text(), nullable=False),
        sa.Column("token", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "session_id", name=f"{ID_TOKENS}_pkey"),
        sa.ForeignKeyConstraint(
            ["user_id", "session_id"],
            [f"{SESSIONS}.user_id", f"{SESSIONS}.id"],
            name=f"{ID_TOKENS}_user_id_session_id_fkey",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table(ID_TOKENS)
