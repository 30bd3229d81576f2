"""Runs in PostgreSQL: which may begin, which are running, and how they ended."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, timedelta
from functools import cached_property
from typing import Any

from chatkit.types import ClosedStatus, LockedStatus, ThreadMetadata
from sqlalchemy import (
    ColumnElement,
    Row,
    Select,
    case,
    func,
    or_,
    select,
    update,
)

from engine.context.run import WITH_MESSAGE, Run
from engine.context.shared_limits import SharedLimits
from engine.database.database import EVERYBODY, Database
from engine.database.rows import IS_RUNNING, ItemRow, RunRow
from engine.database.run_commands import RunCommand, send_command
from engine.database.use import DEMO
from engine.http.errors import (
    DailyTokensUsed,
    NotFound,
    RepeatedRequest,
    RunInProgress,
    ThreadNotWritable,
    TooManyAnswers,
    TooManyTurns,
    Unavailable,
)
from engine.runs.budgets import Budgets
from engine.runs.claim import DAY, MINUTE, claim_statement, running_in
from engine.runs.usage import counting
from engine.settings.settings import Settings
from engine.text.locales import Translatable

# A run whose worker has not written for this long has lost it.
STALE_SECONDS = 10

# How often a repeated request looks whether the first one's message is stored.
ARRIVAL_SECONDS = (0, 0.1, 0.2, 0.4, 0.8)

SOON_SECONDS = 5


class RunStore:
    def __init__(
        self,
        settings: Settings,
        database: Database,
        worker: str,
        shared: SharedLimits | None = None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._worker = worker
        self._shared = shared
        self.budgets: Budgets | None = None  # `Chat` sets them
        self.history_tokens = settings.history_tokens

    # Each is built once, when the first run needs it: that takes longer than to execute it.
    @cached_property
    def _new_thread_claim(self) -> Select[Any]:
        return claim_statement(self._settings, new_thread=True, shared=self._shared)

    @cached_property
    def _old_thread_claim(self) -> Select[Any]:
        return claim_statement(self._settings, new_thread=False, shared=self._shared)

    async def claim(
        self, run: Run, request_key: str | None, *, new_thread: bool
    ) -> ThreadMetadata | None:
        """Begin a run, if the user's limits and the thread allow it; return a thread that exists.

        Two claims at the same time want the same slot: one of them fails, and is tried again.

        Raises `NotFound`, `ThreadNotWritable`, `RunInProgress`, `RepeatedRequest` or one of the
        `LimitReached`.
        """
        if self._settings.is_demo:
            run.model = DEMO
        if self.budgets is not None:
            await self.budgets.check(run.user_id)
        statement = self._new_thread_claim if new_thread else self._old_thread_claim
        parameters = {
            "user_id": run.user_id,
            "run_id": run.id,
            "thread_id": run.thread_id,
            "request": run.request,
            "request_key": request_key,
            "model": run.model,
            "worker": self._worker,
            **({"address": run.address or ""} if self._shared else {}),
        }
        for _ in range(self._settings.running_answers_per_user + 1):
            [row] = await self._database.fetch(run.user_id, statement, parameters)
            if self._shared and row.taken and not row.claimed:
                await self._shared.release_unused(run.address or "")
            # `busy` is this very run when the claim was repeated on a fresh connection.
            if row.claimed or row.busy == run.id:
                return None if new_thread else ThreadMetadata.model_validate(row.payload)
            await self.refuse_repeat(run.user_id, request_key)
            self._refuse(row, run, new_thread=new_thread)
        raise TooManyAnswers("Too much at once. Please try again in a moment.", SOON_SECONDS)

    async def end(self, run: Run) -> None:
        """Write down how it ended, unless another worker already gave it up.

        If its message has not been stored, the request may be sent again.
        """
        statement = (
            update(RunRow)
            .where(*_is(run), IS_RUNNING)
            .values(
                status=run.status,
                tokens_in=run.used.tokens_in,
                tokens_out=run.used.tokens_out,
                instructions_hash=run.instructions_hash,
                tools_hash=run.tools_hash,
                ended_at=func.now(),
                request_key=case((has_arrived(run.user_id), RunRow.request_key)),
            )
        )
        if self._shared and run.address:
            is_running = select(RunRow.id).where(*_is(run), IS_RUNNING).exists()
            tokens = run.used.tokens
            statement = self._shared.release(statement, run.address, is_running, tokens)
        rows = await self._database.fetch(run.user_id, counting(statement, run), retry=True)
        if self.budgets is not None:
            for row in rows:
                await self.budgets.count(run, row.day)

    async def send(self, user_id: str, run_id: str, command: RunCommand) -> None:
        """Send a command to the worker that has the run. Raises `NotFound`."""
        run = (RunRow.user_id == user_id, RunRow.id == run_id)
        async with self._database.transaction(user_id) as connection:
            if not await send_command(connection, command, *run):
                raise NotFound("There is no such run.")

    async def running(self, user_id: str, thread_id: str) -> str | None:
        """The id of the run that answers in this thread."""
        rows = await self._database.read(user_id, running_in(user_id, thread_id))
        return rows[0].id if rows else None

    async def abandoned(self) -> Sequence[Row[Any]]:
        """Running ones whose worker gives no sign of life: user_id, id, thread_id, and so on."""
        statement = (
            select(RunRow.user_id, RunRow.id, RunRow.thread_id, RunRow.start_seq, RunRow.request)
            .where(IS_RUNNING, is_stale())
            .order_by(RunRow.started_at)
            .limit(100)
        )
        return await self._database.read(EVERYBODY, statement)

    async def refuse_repeat(self, user_id: str, request_key: str | None) -> None:
        """Raises `RepeatedRequest` when the user has asked under this key before."""
        if request_key is None:
            return
        arrived = or_(RunRow.status != "running", has_arrived(user_id))
        statement = select(RunRow.thread_id, RunRow.id, arrived.label("arrived")).where(
            RunRow.user_id == user_id, RunRow.request_key == request_key
        )
        for seconds in ARRIVAL_SECONDS:
            await asyncio.sleep(seconds)
            rows = await self._database.read(user_id, statement)
            if not rows:
                return
            if rows[0].arrived:
                raise RepeatedRequest(rows[0].thread_id, rows[0].id)
        raise Unavailable("This message is still on its way. Please try again in a moment.")

    def _refuse(self, row: Row[Any], run: Run, *, new_thread: bool) -> None:
        """Raise for the reason that the row gives; without one it was a race."""
        limits = self._settings
        if not new_thread:
            if row.payload is None:
                raise NotFound(f"There is no thread {run.thread_id}.")
            check_writable(ThreadMetadata.model_validate(row.payload))
        if row.busy is not None:
            raise RunInProgress("An answer is still being written in this conversation.")
        if row.slot is None:
            raise TooManyAnswers(
                Translatable(
                    "You have {count} answer being written already. Please wait for it.",
                    "You have {count} answers being written already. Please wait for one of them.",
                    count=limits.running_answers_per_user,
                ),
                SOON_SECONDS,
            )
        if row.turns >= limits.turns_per_minute:
            wait = (row.first + MINUTE - row.moment).total_seconds()
            raise TooManyTurns("That was a lot in one minute. Please wait a moment.", wait)
        if limits.tokens_per_day and row.tokens >= limits.tokens_per_day:
            moment = row.moment.astimezone(UTC)
            midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
            wait = (midnight - moment).total_seconds()
            raise DailyTokensUsed(
                "You have used up today's allowance. Please come back later.", wait
            )
        if self._shared:
            self._shared.refuse(row)


def check_writable(thread: ThreadMetadata) -> None:
    """Raise `ThreadNotWritable` for a locked or closed thread; the SDK does not look."""
    match thread.status:
        case LockedStatus(reason=None):
            raise ThreadNotWritable("This conversation is locked.")
        case LockedStatus(reason=str(reason)):
            raise ThreadNotWritable(
                Translatable("This conversation is locked: {reason}", reason=reason)
            )
        case ClosedStatus(reason=None):
            raise ThreadNotWritable("This conversation is closed.")
        case ClosedStatus(reason=str(reason)):
            raise ThreadNotWritable(
                Translatable("This conversation is closed: {reason}", reason=reason)
            )


def _is(run: Run) -> tuple[Any, ...]:
    return (RunRow.user_id == run.user_id, RunRow.id == run.id)


def has_arrived(user_id: str) -> ColumnElement[bool]:
    """True for a run whose message has been stored, or that brings none."""
    stored = select(ItemRow.id).where(
        ItemRow.user_id == user_id,
        ItemRow.thread_id == RunRow.thread_id,
        ItemRow.seq > RunRow.start_seq,
    )
    return or_(RunRow.request.not_in(WITH_MESSAGE), stored.exists())


def is_stale() -> Any:
    return RunRow.heartbeat_at < func.now() - timedelta(seconds=STALE_SECONDS)
