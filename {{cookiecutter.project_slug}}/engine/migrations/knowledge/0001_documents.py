"""The project's documents."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from engine.database.database import TABLE_PREFIX

revision: str = "knowledge_0001"
down_revision: str | None = None
branch_labels: str | None = "knowledge"
depends_on: str | None = "core_0001"

DOCUMENTS = f"{TABLE_PREFIX}documents"
PASSAGES = f"{TABLE_PREFIX}passages"

tables = (DOCUMENTS, PASSAGES)


def upgrade() -> None:
    op.create_table(
        DOCUMENTS,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column(
            "added_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint("user_id", "id", name=f"{DOCUMENTS}_pkey"),
        sa.UniqueConstraint("user_id", "source", name=f"{DOCUMENTS}_user_id_source_key"),
        sa.ForeignKeyConstraint(
            ["user_id"],
            [f"{TABLE_PREFIX}users.id"],
            name=f"{DOCUMENTS}_user_id_fkey",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        PASSAGES,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("document_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("heading", sa.Text(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("headings", TSVECTOR(), nullable=False),
        sa.Column("search", TSVECTOR(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "document_id", "number", name=f"{PASSAGES}_pkey"),
        sa.ForeignKeyConstraint(
            ["user_id", "document_id"],
            [f"{DOCUMENTS}.user_id", f"{DOCUMENTS}.id"],
            name=f"{PASSAGES}_user_id_document_id_fkey",
            ondelete="CASCADE",
        ),
    )
    op.create_index(f"{PASSAGES}_headings_idx", PASSAGES, ["headings"], postgresql_using="gin")
    op.create_index(f"{PASSAGES}_search_idx", PASSAGES, ["search"], postgresql_using="gin")


def downgrade() -> None:
    op.drop_table(PASSAGES)
    op.drop_table(DOCUMENTS)
