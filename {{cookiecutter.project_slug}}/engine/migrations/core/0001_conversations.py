"""Users, threads, items, attachments, feedback, runs."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from engine.database.database import TABLE_PREFIX

revision: str = "core_0001"
down_revision: str | None = None
branch_labels: str | None = "core"
depends_on: str | None = None

USERS = f"{TABLE_PREFIX}users"
THREADS = f"{TABLE_PREFIX}threads"
ITEMS = f"{TABLE_PREFIX}thread_items"
ATTACHMENTS = f"{TABLE_PREFIX}attachments"
FEEDBACK = f"{TABLE_PREFIX}feedback"
RUNS = f"{TABLE_PREFIX}runs"

tables = (USERS, THREADS, ITEMS, ATTACHMENTS, FEEDBACK, RUNS)

RUNNING = sa.text("status = 'running'")


def upgrade() -> None:
    op.create_table(
        USERS,
        sa.Column("id", sa.Text(), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("id", name=f"{USERS}_pkey"),
    )
    op.create_table(
        THREADS,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("payload", JSONB(), nullable=False),
        _time("created_at"),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("user_id", "id", name=f"{THREADS}_pkey"),
        _owner(THREADS),
    )
    op.create_index(
        f"{THREADS}_user_id_created_at_id_idx", THREADS, ["user_id", "created_at", "id"]
    )
    op.create_table(
        ITEMS,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("payload", JSONB(), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("user_id", "thread_id", "id", name=f"{ITEMS}_pkey"),
        _thread(ITEMS),
    )
    op.create_index(
        f"{ITEMS}_user_id_thread_id_seq_idx", ITEMS, ["user_id", "thread_id", "seq"], unique=True
    )
    # Tells the planner that a thread has one owner. Otherwise it expects one row per thread, and
    # may look for an item in the second index, which means reading all items of the thread.
    op.execute(
        f"CREATE STATISTICS {ITEMS}_user_id_thread_id_stat (dependencies)"
        f" ON user_id, thread_id FROM {ITEMS}"
    )
    op.create_table(
        ATTACHMENTS,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=True),
        sa.Column("payload", JSONB(), nullable=False),
        _time("created_at"),
        sa.PrimaryKeyConstraint("user_id", "id", name=f"{ATTACHMENTS}_pkey"),
        _owner(ATTACHMENTS),
        _thread(ATTACHMENTS),
    )
    op.create_index(f"{ATTACHMENTS}_user_id_thread_id_idx", ATTACHMENTS, ["user_id", "thread_id"])
    op.create_table(
        FEEDBACK,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        _time("updated_at"),
        sa.PrimaryKeyConstraint("user_id", "thread_id", "item_id", name=f"{FEEDBACK}_pkey"),
        sa.ForeignKeyConstraint(
            ["user_id", "thread_id", "item_id"],
            [f"{ITEMS}.user_id", f"{ITEMS}.thread_id", f"{ITEMS}.id"],
            name=f"{FEEDBACK}_user_id_thread_id_item_id_fkey",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        RUNS,
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("thread_id", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="running", nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("request_key", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("tokens_in", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("tokens_out", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("slot", sa.SmallInteger(), nullable=False),
        sa.Column("start_seq", sa.BigInteger(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("wish", sa.Text(), nullable=True),
        _time("started_at"),
        _time("heartbeat_at"),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "id", name=f"{RUNS}_pkey"),
        _owner(RUNS),
    )
    for column in ("thread_id", "slot"):
        op.create_index(
            f"{RUNS}_user_id_{column}_idx",
            RUNS,
            ["user_id", column],
            unique=True,
            postgresql_where=RUNNING,
        )
    op.create_index(
        f"{RUNS}_user_id_request_key_idx", RUNS, ["user_id", "request_key"], unique=True
    )
    op.create_index(f"{RUNS}_user_id_started_at_idx", RUNS, ["user_id", "started_at"])
    op.create_index(f"{RUNS}_started_at_idx", RUNS, ["started_at"], postgresql_where=RUNNING)


def downgrade() -> None:
    for table in (RUNS, FEEDBACK, ATTACHMENTS, ITEMS, THREADS, USERS):
        op.drop_table(table)


def _time(name: str) -> "sa.Column[object]":
    return sa.Column(
        name, sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False
    )


def _owner(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["user_id"], [f"{USERS}.id"], name=f"{table}_user_id_fkey", ondelete="CASCADE"
    )


def _thread(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["user_id", "thread_id"],
        [f"{THREADS}.user_id", f"{THREADS}.id"],
        name=f"{table}_user_id_thread_id_fkey",
        ondelete="CASCADE",
    )
