"""Accounts with passwords."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "password_0001"
down_revision: str | None = None
branch_labels: str | None = "password"
depends_on: str | None = "core_0001"

ACCOUNTS = f"{TABLE_PREFIX}accounts"
ATTEMPTS = f"{TABLE_PREFIX}sign_in_attempts"

tables = (ACCOUNTS, ATTEMPTS)


def upgrade() -> None:
    op.create_table(
        ACCOUNTS,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("user_id", name=f"{ACCOUNTS}_pkey"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            [f"{TABLE_PREFIX}users.id"],
            name=f"{ACCOUNTS}_user_id_fkey",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        ATTEMPTS,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("forgotten_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("user_id", name=f"{ATTEMPTS}_pkey"),
    )


def downgrade() -> None:
    op.drop_table(ATTEMPTS)
    op.drop_table(ACCOUNTS)
