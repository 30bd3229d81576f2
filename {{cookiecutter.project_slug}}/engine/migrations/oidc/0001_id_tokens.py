"""ID tokens."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "oidc_0001"
down_revision: str | None = None
branch_labels: str | None = "oidc"
depends_on: str | None = "sessions_0001"

ID_TOKENS = f"{TABLE_PREFIX}id_tokens"
SESSIONS = f"{TABLE_PREFIX}sessions"

tables = (ID_TOKENS,)


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
