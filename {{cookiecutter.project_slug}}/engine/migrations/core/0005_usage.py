"""The use of models by day and user, and announced budgets."""

import sqlalchemy as sa
from alembic import op

from engine.database.database import TABLE_PREFIX

revision: str = "core_0005"
down_revision: str | None = "core_0004"
branch_labels: str | None = None
depends_on: str | None = None

USAGE_DAYS = f"{TABLE_PREFIX}usage_days"
BUDGET_NOTICES = f"{TABLE_PREFIX}budget_notices"
RUNS = f"{TABLE_PREFIX}runs"

tables = (USAGE_DAYS, BUDGET_NOTICES)

# All runs up to now, whose cached tokens and prices are not known. It locks none of them.
COUNT_RUNS = f"""
INSERT INTO {USAGE_DAYS}
    (user_id, day, model, turns, tokens_in, tokens_cached, tokens_out, cost, unpriced)
SELECT user_id, CAST(timezone('UTC', started_at) AS DATE), model, count(*),
    sum(tokens_in), 0, sum(tokens_out), 0, sum(tokens_in + tokens_out)
FROM {RUNS}
WHERE ended_at IS NOT NULL
GROUP BY 1, 2, 3
"""  # noqa: S608


def upgrade() -> None:
    op.create_table(
        USAGE_DAYS,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("turns", sa.BigInteger(), nullable=False),
        sa.Column("tokens_in", sa.BigInteger(), nullable=False),
        sa.Column("tokens_cached", sa.BigInteger(), nullable=False),
        sa.Column("tokens_out", sa.BigInteger(), nullable=False),
        sa.Column("cost", sa.Numeric(20, 10), nullable=False),
        sa.Column("unpriced", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("user_id", "day", "model", name=f"{USAGE_DAYS}_pkey"),
    )
    op.create_table(
        BUDGET_NOTICES,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("budget", sa.Text(), nullable=False),
        sa.Column("begins", sa.Date(), nullable=False),
        sa.Column("percent", sa.SmallInteger(), nullable=False),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.PrimaryKeyConstraint(
            "user_id", "budget", "begins", "percent", name=f"{BUDGET_NOTICES}_pkey"
        ),
    )
    op.execute(COUNT_RUNS)
    # Last: until the end of the transaction, they keep others from adding users.
    for table in (USAGE_DAYS, BUDGET_NOTICES):
        op.create_foreign_key(
            f"{table}_user_id_fkey",
            table,
            f"{TABLE_PREFIX}users",
            ["user_id"],
            ["id"],
            ondelete="CASCADE",
        )


def downgrade() -> None:
    op.drop_table(BUDGET_NOTICES)
    op.drop_table(USAGE_DAYS)
