"""Tokens that users used, day by day."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "core_0002"
down_revision: str | None = "core_0001"
branch_labels: str | None = None
depends_on: str | None = None

TOKEN_DAYS = f"{TABLE_PREFIX}token_days"
RUNS = f"{TABLE_PREFIX}runs"

tables = (TOKEN_DAYS,)

# Today's, up to now. It reads through all runs once, and locks none of them.
COUNT_TODAY = f"""
INSERT INTO {TOKEN_DAYS} (user_id, day, tokens)
SELECT user_id, CAST(timezone('UTC', started_at) AS DATE), sum(tokens_in + tokens_out)
FROM {RUNS}
WHERE started_at >= date_trunc('day', now(), 'UTC') AND tokens_in + tokens_out > 0
GROUP BY 1, 2
"""  # noqa: S608


def upgrade() -> None:
    op.create_table(
        TOKEN_DAYS,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("tokens", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "day", name=f"{TOKEN_DAYS}_pkey"),
    )
    op.execute(COUNT_TODAY)
    # Last: until the end of the transaction, it keeps others from adding users.
    op.create_foreign_key(
        f"{TOKEN_DAYS}_user_id_fkey",
        TOKEN_DAYS,
        f"{TABLE_PREFIX}users",
        ["user_id"],
        ["id"],
        ondelete="CASCADE",
    )


def downgrade() -> None:
    op.drop_table(TOKEN_DAYS)
