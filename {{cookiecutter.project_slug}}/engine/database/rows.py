"""The tables of conversations. Every primary key begins with the owner.

`payload` is the object as the ChatKit SDK serialised it, with its naive datetimes; the other
columns are for queries. The foreign keys keep a user's items out of other users' threads.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Numeric,
    SmallInteger,
    Text,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.functions import now

from engine.database.database import TABLE_PREFIX, Base, holds

RUNNING = "status = 'running'"


class UserRow(Base):
    __tablename__ = f"{TABLE_PREFIX}users"
    __table_args__ = (holds("user"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())


class ThreadRow(Base):
    __tablename__ = f"{TABLE_PREFIX}threads"
    __table_args__ = (Index(None, "user_id", "created_at", "id"), holds("conversations"))

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())


class ItemRow(Base):
    """`seq` is the item's position in its thread. The database assigns it, an upsert keeps it."""

    __tablename__ = f"{TABLE_PREFIX}thread_items"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "thread_id"], [ThreadRow.user_id, ThreadRow.id], ondelete="CASCADE"
        ),
        Index(None, "user_id", "thread_id", "seq", unique=True),
        holds("conversations"),
    )

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    thread_id: Mapped[str] = mapped_column(Text, primary_key=True)
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, Identity(always=True))
    type: Mapped[str] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())


class AttachmentRow(Base):
    """`thread_id` is empty until the message that carries the attachment is sent."""

    __tablename__ = f"{TABLE_PREFIX}attachments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "thread_id"], [ThreadRow.user_id, ThreadRow.id], ondelete="CASCADE"
        ),
        Index(None, "user_id", "thread_id"),
        holds("files"),
    )

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    thread_id: Mapped[str | None] = mapped_column(Text)
    payload: Mapped[dict[str, Any]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())


class FeedbackRow(Base):
    """One feedback per item and user; a second one replaces the first."""

    __tablename__ = f"{TABLE_PREFIX}feedback"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "thread_id", "item_id"],
            [ItemRow.user_id, ItemRow.thread_id, ItemRow.id],
            ondelete="CASCADE",
        ),
        holds("feedback"),
    )

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    thread_id: Mapped[str] = mapped_column(Text, primary_key=True)
    item_id: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())


class RunRow(Base):
    """One streamed answer, from its claim to its end.

    `thread_id` is no foreign key: a day's use is counted here, whatever has been deleted since.
    A running run has a `slot` of its user's, 1 to as many as may run at once. `start_seq` is the
    place of the thread's last item when it began, and `command` the one that was sent last. The
    hashes identify the version of the agent that answered (`engine/turn/versions.py`).
    """

    __tablename__ = f"{TABLE_PREFIX}runs"
    __table_args__ = (
        Index(None, "user_id", "thread_id", unique=True, postgresql_where=text(RUNNING)),
        Index(None, "user_id", "slot", unique=True, postgresql_where=text(RUNNING)),
        Index(None, "user_id", "request_key", unique=True),
        Index(None, "user_id", "started_at"),
        Index(None, "started_at", postgresql_where=text(RUNNING)),
        holds("answers", without=("worker", "request_key"), aged_by="started_at"),
    )

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    thread_id: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="running")
    request: Mapped[str] = mapped_column(Text)
    request_key: Mapped[str | None] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    tokens_in: Mapped[int] = mapped_column(BigInteger, server_default="0")
    tokens_out: Mapped[int] = mapped_column(BigInteger, server_default="0")
    slot: Mapped[int] = mapped_column(SmallInteger)
    start_seq: Mapped[int] = mapped_column(BigInteger)
    worker: Mapped[str] = mapped_column(Text)
    # "wish" in databases: workers of the version before read it during a rolling update.
    command: Mapped[str | None] = mapped_column("wish", Text)
    started_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())
    heartbeat_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())
    ended_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    instructions_hash: Mapped[str | None] = mapped_column(Text)
    tools_hash: Mapped[str | None] = mapped_column(Text)


class TokenDayRow(Base):
    """The tokens of a user's runs, by the day (UTC) on which they began.

    A run's are added when it ends, in the same statement: the allowance of a day is one row to read,
    however many runs it had. As in `RunRow`, deleting conversations gives none of it back.
    """

    __tablename__ = f"{TABLE_PREFIX}token_days"
    __table_args__ = (holds("tokens", aged_by="day"),)

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    tokens: Mapped[int] = mapped_column(BigInteger)


class UsageRow(Base):
    """A user's use of a model on the day (UTC) on which the runs began; it outlives them.

    `tokens_cached` are among the `tokens_in`. `cost` is in US dollars, by the prices of that day.
    `unpriced` tokens are those of a model without a known price.
    """

    __tablename__ = f"{TABLE_PREFIX}usage_days"
    __table_args__ = (holds("use"),)

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    model: Mapped[str] = mapped_column(Text, primary_key=True)
    turns: Mapped[int] = mapped_column(BigInteger)
    tokens_in: Mapped[int] = mapped_column(BigInteger)
    tokens_cached: Mapped[int] = mapped_column(BigInteger)
    tokens_out: Mapped[int] = mapped_column(BigInteger)
    cost: Mapped[Decimal] = mapped_column(Numeric(20, 10))
    unpriced: Mapped[int] = mapped_column(BigInteger)


class BudgetRow(Base):
    """That a share of a budget has been used, which is announced once."""

    __tablename__ = f"{TABLE_PREFIX}budget_notices"
    __table_args__ = (holds("budget notices", aged_by="created_at"),)

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    budget: Mapped[str] = mapped_column(Text, primary_key=True)
    begins: Mapped[date] = mapped_column(Date, primary_key=True)
    percent: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())


class ErasedRow(Base):
    """A hash of the id of a user who was erased and does not come back.

    Read together with the rows of any user: on a cluster, each node has the whole table.
    """

    __tablename__ = f"{TABLE_PREFIX}erased_users"
    __table_args__ = ({"info": {"has_owner": False, "on_every_node": True}},)

    id_hash: Mapped[str] = mapped_column(Text, primary_key=True)
    erased_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())


class SweepRow(Base):
    """A task of maintenance that goes through all users. `cursor` is the last one it has done in
    this round, empty at its beginning; `ended_at` is the end of the round before.

    The row is locked during a step, so that one worker at a time does it.
    """

    __tablename__ = f"{TABLE_PREFIX}sweeps"
    __table_args__ = ({"info": {"has_owner": False}},)

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    cursor: Mapped[str] = mapped_column(Text, server_default="")
    ended_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())


# A literal and no parameter, so that a generic plan can use the partial indexes of running rows.
IS_RUNNING = RunRow.status == literal_column("'running'")
