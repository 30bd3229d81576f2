"""Notes."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "notes_0001"
down_revision: str | None = None
branch_labels: str | None = "notes"
depends_on: str | None = "core_0001"

NOTES = f"{TABLE_PREFIX}notes"

tables = (NOTES,)


def upgrade() -> None:
    op.create_table(
        NOTES,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=f"{NOTES}_pkey"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            [f"{TABLE_PREFIX}users.id"],
            name=f"{NOTES}_user_id_fkey",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table(NOTES)
