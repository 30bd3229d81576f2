"""Emails that users sent, day by day."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "email_0002"
down_revision: str | None = "email_0001"
branch_labels: str | None = None
depends_on: str | None = None

EMAIL_DAYS = f"{TABLE_PREFIX}email_days"

tables = (EMAIL_DAYS,)


def upgrade() -> None:
    op.create_table(
        EMAIL_DAYS,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "day", name=f"{EMAIL_DAYS}_pkey"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            [f"{TABLE_PREFIX}users.id"],
            name=f"{EMAIL_DAYS}_user_id_fkey",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table(EMAIL_DAYS)
