"""Emails."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

from engine.database.database import TABLE_PREFIX

revision: str = "email_0001"
down_revision: str | None = None
branch_labels: str | None = "email"
depends_on: str | None = "core_0001"

EMAILS = f"{TABLE_PREFIX}emails"

tables = (EMAILS,)


def upgrade() -> None:
    op.create_table(
        EMAILS,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("recipients", postgresql.JSONB(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="draft", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.Column(
            "changed_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("user_id", "thread_id", "item_id", name=f"{EMAILS}_pkey"),
        sa.ForeignKeyConstraint(
            ["user_id", "thread_id"],
            [f"{TABLE_PREFIX}threads.user_id", f"{TABLE_PREFIX}threads.id"],
            name=f"{EMAILS}_user_id_thread_id_fkey",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table(EMAILS)
