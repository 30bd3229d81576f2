"""Deletes what is older than its owner wants to keep it."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Date, Table, delete, func, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.context.request_context import RequestContext
from engine.context.rounds import Rounds
from engine.database.database import (
    ERASED_OWNER,
    EVERYBODY,
    PROJECT_OWNER,
    Database,
)
from engine.database.rows import (
    IS_RUNNING,
    AttachmentRow,
    ItemRow,
    RunRow,
    SweepRow,
    ThreadRow,
    UsageRow,
    UserRow,
)
from engine.database.tables import owner_column
from engine.operate.privacy.erase import delete_user, existing_tables
from engine.options import Attachments

logger = logging.getLogger(__name__)

SWEEP = "retention"
# How often all users are gone through, and the pause between two steps.
ROUND = timedelta(hours=1)
STEP_PAUSE_SECONDS = 0.1
# How often a worker looks whether a round is due.
LOOK_SECONDS = 300.0
USERS_AT_ONCE = 100
ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class Retention:
    """How many days the data of users are kept, since they last changed; 0 keeps them for good.

    `visitor_days` is for users whose id begins with `visitors`, whom nobody can ask.
    """

    days: float = 0
    visitor_days: float = 0
    visitors: str = ""

    def days_of(self, user_id: str) -> float:
        is_visitor = bool(self.visitors) and user_id.startswith(self.visitors)
        return (self.visitor_days or self.days) if is_visitor else self.days

    @property
    def is_set(self) -> bool:
        return bool(self.days or (self.visitor_days and self.visitors))


@dataclass
class Swept:
    conversations: int = 0
    rows: int = 0
    users: int = 0


class Sweeper:
    """Goes through all users once an hour, in small steps, in one worker at a time."""

    def __init__(
        self, database: Database, retention: Retention, attachments: Attachments | None
    ) -> None:
        self._database = database
        self._retention = retention
        self._attachments = attachments
        self._rounds = Rounds(self.sweep, logger, "old data were not deleted")

    def start(self) -> None:
        if self._retention.is_set:
            self._rounds.start(LOOK_SECONDS)

    async def close(self) -> None:
        await self._rounds.close()

    async def sweep(self) -> Swept:
        """Do the steps that are due, unless another worker does them."""
        swept = Swept()
        while await self._step(swept):  # noqa: ASYNC110 (a pause, and no waiting)
            await asyncio.sleep(STEP_PAUSE_SECONDS)
        if swept.conversations or swept.rows or swept.users:
            logger.info(
                "deleted as too old: %d conversations, %d other rows, %d users without any",
                *(swept.conversations, swept.rows, swept.users),
            )
        return swept

    async def _step(self, swept: Swept) -> bool:
        """Go on with the next users; false when none is due."""
        files: list[tuple[str, str]] = []
        async with self._database.transaction(EVERYBODY) as connection:
            cursor = await _lock(connection)
            if cursor is None:
                return False
            users = await _next_users(connection, cursor)
            is_complete = await self._delete(connection, users, swept, files)
            has_more = len(users) == USERS_AT_ONCE
            if is_complete:
                await _move(connection, users[-1] if has_more else "")
        await self._discard(files)
        return has_more or not is_complete

    async def _delete(
        self,
        connection: AsyncConnection,
        users: Sequence[str],
        swept: Swept,
        files: list[tuple[str, str]],
    ) -> bool:
        """Delete old rows of these users; false if some are left for the next step."""
        by_days: dict[float, list[str]] = {}
        for user in users:
            if days := self._retention.days_of(user):
                by_days.setdefault(days, []).append(user)
        moment = await _now(connection)
        is_complete = True
        for days, some in by_days.items():
            before = moment - timedelta(days=days)
            threads = await _old_threads(connection, some, before)
            for user_id, thread_id in threads:
                files += await _delete_thread(connection, user_id, thread_id)
            swept.conversations += len(threads)
            deleted = [
                await _delete_old(connection, table, some, before)
                for table in await existing_tables(connection)
                if table.info.get("aged_by")
            ]
            swept.rows += sum(deleted)
            is_complete = is_complete and max([len(threads), *deleted]) < ROWS_AT_ONCE
            if is_complete:
                swept.users += await _forget_traceless(connection, some, before)
        return is_complete

    async def _discard(self, files: Sequence[tuple[str, str]]) -> None:
        """Delete the files; the sweeper of files deletes those that are left."""
        if self._attachments is None:
            return
        for user_id in {user_id for user_id, _ in files}:
            ids = [id_ for owner, id_ in files if owner == user_id]
            await self._attachments.discard(ids, RequestContext(user_id))


async def _now(connection: AsyncConnection) -> datetime:
    """The database's time (UTC), which all workers share."""
    moment: datetime = (await connection.execute(select(func.now()))).scalar_one()
    return moment.astimezone(UTC)


async def _lock(connection: AsyncConnection) -> str | None:
    """The last user of the step before; None if no round is due or another worker does a step."""
    never = datetime.fromtimestamp(0, UTC)
    row = insert(SweepRow).values(name=SWEEP, ended_at=never).on_conflict_do_nothing()
    await connection.execute(row)
    is_due = (SweepRow.cursor != "") | (SweepRow.ended_at < func.now() - ROUND)
    due = select(SweepRow.cursor).where(SweepRow.name == SWEEP, is_due)
    cursor: str | None = await connection.scalar(due.with_for_update(skip_locked=True))
    return cursor


async def _move(connection: AsyncConnection, cursor: str) -> None:
    """Remember the last user of this step; empty at the end of a round."""
    ended = {} if cursor else {"ended_at": func.now()}
    values = {"cursor": cursor, **ended}
    await connection.execute(update(SweepRow).where(SweepRow.name == SWEEP).values(**values))


async def _next_users(connection: AsyncConnection, after: str) -> list[str]:
    statement = (
        select(UserRow.id)
        .where(UserRow.id > after, UserRow.id.not_in((PROJECT_OWNER, ERASED_OWNER)))
        .order_by(UserRow.id)
        .limit(USERS_AT_ONCE)
    )
    return list(await connection.scalars(statement))


async def _old_threads(
    connection: AsyncConnection, users: Sequence[str], before: datetime
) -> list[tuple[str, str]]:
    """Owner and id of conversations in which nothing has happened since then."""
    last = (
        select(ItemRow.created_at)
        .where(ItemRow.user_id == ThreadRow.user_id, ItemRow.thread_id == ThreadRow.id)
        .order_by(ItemRow.seq.desc())
        .limit(1)
        .scalar_subquery()
    )
    statement = (
        select(ThreadRow.user_id, ThreadRow.id)
        .where(
            ThreadRow.user_id.in_(users),
            ThreadRow.created_at < before,
            ThreadRow.updated_at < before,
            func.coalesce(last, ThreadRow.updated_at) < before,
            ~_runs_in_thread(),
        )
        .limit(ROWS_AT_ONCE)
    )
    return [(row.user_id, row.id) for row in await connection.execute(statement)]


def _runs_in_thread() -> ColumnElement[bool]:
    running = select(RunRow.id).where(
        RunRow.user_id == ThreadRow.user_id, RunRow.thread_id == ThreadRow.id, IS_RUNNING
    )
    return running.exists()


async def _delete_thread(
    connection: AsyncConnection, user_id: str, thread_id: str
) -> list[tuple[str, str]]:
    """Delete the conversation with its rows. Returns owner and id of its files."""
    attached = select(AttachmentRow.id).where(
        AttachmentRow.user_id == user_id, AttachmentRow.thread_id == thread_id
    )
    ids = list(await connection.scalars(attached))
    await connection.execute(
        delete(ThreadRow).where(ThreadRow.user_id == user_id, ThreadRow.id == thread_id)
    )
    return [(user_id, id_) for id_ in ids]


async def _delete_old(
    connection: AsyncConnection, table: Table, users: Sequence[str], before: datetime
) -> int:
    """Delete rows whose time is before that; returns how many, at most `ROWS_AT_ONCE`."""
    moment = table.c[table.info["aged_by"]]
    key = tuple_(*table.primary_key.columns)
    is_old = moment < (before.date() if isinstance(moment.type, Date) else before)
    old = select(*table.primary_key.columns).where(owner_column(table).in_(users), is_old)
    if table is RunRow.__table__:
        old = old.where(~IS_RUNNING)
    deleted = await connection.execute(delete(table).where(key.in_(old.limit(ROWS_AT_ONCE))))
    return deleted.rowcount


async def _forget_traceless(
    connection: AsyncConnection, users: Sequence[str], before: datetime
) -> int:
    """Delete users of whom nothing is left but numbers. They may come back."""
    kept = (UserRow.__table__, UsageRow.__table__)
    traces = [
        select(owner_column(table)).where(owner_column(table) == UserRow.id).exists()
        for table in await existing_tables(connection)
        if table not in kept
    ]
    statement = select(UserRow.id).where(
        UserRow.id.in_(users), UserRow.created_at < before, *(~trace for trace in traces)
    )
    traceless = list(await connection.scalars(statement))
    for user_id in traceless:
        await delete_user(connection, user_id)
    return len(traceless)
