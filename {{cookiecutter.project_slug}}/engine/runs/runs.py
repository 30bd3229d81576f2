"""The runs of this process, each in a task that goes on when its client disconnects."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from functools import partial
from random import uniform

from chatkit.errors import ErrorCode
from chatkit.types import ErrorEvent
from sqlalchemy.exc import IntegrityError

from engine.context.run import Run
from engine.database.database import Database, DatabaseUnreachable
from engine.database.run_commands import RunCommand
from engine.http.errors import ServerBusy, Unavailable
from engine.http.event_stream import sse
from engine.runs.run_store import RunStore
from engine.settings.settings import Settings
from engine.store.store import SqlStore
from engine.text.locales import ENGLISH, translate

logger = logging.getLogger(__name__)

# How long after a client disconnected its "leave" may still arrive, on another connection.
LEAVE_SECONDS = 0.8
# How long a message waits for the answer before it, which is being stopped.
SETTLE_SECONDS = 3.0

CHECKPOINT_SECONDS = 1.0
# A process with more runs than it can check in a second takes longer for a round.
CHECKPOINTS_PER_SECOND = 250
LONGEST_ROUND_SECONDS = 4.0
# How often a run gives a sign of life that has nothing to say. (See STALE_SECONDS.)
SILENT_SECONDS = 3.0

# What a run says within a blink leaves in one piece: sending is a third of the work of a word.
TOGETHER_SECONDS = 0.005

BUSY_SECONDS = 5
BROKEN = ErrorEvent(code=ErrorCode.STREAM_ERROR, allow_retry=True)
RESTARTING = "The server is restarting. What was said is kept; please try again in a moment."


class Runs:
    def __init__(
        self, settings: Settings, database: Database, run_store: RunStore, store: SqlStore
    ) -> None:
        self._settings = settings
        self._database = database
        self._run_store = run_store
        self._store = store
        self._live: dict[tuple[str, str], Run] = {}
        self._draining: asyncio.Task[None] | None = None

    def check_capacity(self) -> None:
        """Raise `ServerBusy` or `Unavailable` when this process takes no further run."""
        if self._draining is not None:
            raise Unavailable("This server is about to stop. Please try again.")
        if len(self._live) >= self._settings.answers_per_process:
            raise ServerBusy("The server is busy right now. Please try again.", BUSY_SECONDS)

    def start(self, run: Run, source: AsyncIterator[bytes], locale: str = ENGLISH) -> "Listener":
        """Run it in a task. `source` is cancelled where it stands when the run is cut."""
        self._live[run.user_id, run.id] = run
        run.task = asyncio.create_task(self._execute(run, source, locale))
        return Listener(run, partial(self._client_disconnected, run))

    async def send(self, user_id: str, run_id: str, command: RunCommand) -> None:
        """Apply a command here, or send it to the worker that has the run. Raises `NotFound`."""
        if not self.apply(user_id, run_id, command):
            await self._run_store.send(user_id, run_id, command)

    def has(self, user_id: str, run_id: str) -> bool:
        return (user_id, run_id) in self._live

    def apply(self, user_id: str, run_id: str, command: str) -> bool:
        """Apply a command to a run of this process; false when the run is not here."""
        run = self._live.get((user_id, run_id))
        if run is None:
            return False
        if command == "stop":
            run.cut("stopped")
        elif command == "leave" and not run.left:
            run.leave()
        return True

    async def stop_disconnected_run(self, user_id: str, thread_id: str) -> bool:
        """Stop the thread's run if its client disconnected; false when there is none such here.

        A user who stops an answer may send the next message before the stop is complete.
        """
        for run in list(self._live.values()):
            if (run.user_id, run.thread_id) == (user_id, thread_id) and run.can_be_stopped:
                run.cut("stopped")
                assert run.task is not None
                await asyncio.wait({run.task}, timeout=SETTLE_SECONDS)
                return True
        return False

    def drain(self) -> None:
        """Take nothing new; what is open has `shutdown_seconds` to end and is cut then."""
        if self._draining is None:
            self._draining = asyncio.create_task(self._drain())

    @property
    def is_draining(self) -> bool:
        return self._draining is not None

    async def close(self) -> None:
        self.drain()
        assert self._draining is not None
        await self._draining

    async def _drain(self) -> None:
        if tasks := self._tasks():
            logger.info("%d answers have %g s to end", len(tasks), self._settings.shutdown_seconds)
            await asyncio.wait(tasks, timeout=self._settings.shutdown_seconds)
        for run in list(self._live.values()):
            run.cut("interrupted")
        if tasks := self._tasks():
            await asyncio.wait(tasks)

    def _tasks(self) -> list[asyncio.Task[None]]:
        return [run.task for run in self._live.values() if run.task is not None]

    async def _execute(self, run: Run, source: AsyncIterator[bytes], locale: str) -> None:
        checkpoints = asyncio.create_task(self._checkpoints(run))
        try:
            async for chunk in source:
                run.send(chunk)
                if not run.has_begun:
                    # Lets the chunk be sent before the work for the next one begins. Until the run
                    # has begun, nothing cancels it here, where the source would not know.
                    await asyncio.sleep(0)
        except asyncio.CancelledError:
            if run.status == "interrupted":
                words = translate(RESTARTING, locale)
                run.send(_sse(ErrorEvent(code="custom", message=words, allow_retry=True)))
        except Exception:
            logger.exception("a run broke")
            run.send(_sse(BROKEN))
        finally:
            checkpoints.cancel()
            try:
                await self._end(run)
            except Exception:
                logger.exception("run %s could not be ended", run.id)
            # Only now: a client that reads the end may send the next message at once.
            run.send(None)
            del self._live[run.user_id, run.id]

    async def _end(self, run: Run) -> None:
        if run.is_running:
            run.status = "done" if run.complete else "failed"
        if run.has_unsaved_items:
            logger.error("run %s is not stored to its end", run.id)
            return  # it is closed like that of a worker that died, and gets its notice
        try:
            await self._run_store.end(run)
        except DatabaseUnreachable:
            # Its heartbeat has stopped: a worker closes it when the database is back.
            logger.error("the end of run %s could not be written", run.id)

    def _client_disconnected(self, run: Run) -> None:
        if run.left or not run.is_running:
            return
        if self._settings.on_disconnect == "finish":
            run.leave()
        else:
            run.disconnected = True
            asyncio.get_running_loop().call_later(LEAVE_SECONDS, self._stop_unless_left, run)

    def _stop_unless_left(self, run: Run) -> None:
        if not run.left:
            run.cut("stopped")

    async def _checkpoints(self, run: Run) -> None:
        written = time.monotonic()
        while True:
            await asyncio.sleep(self._round_seconds() * uniform(0.8, 1.2))  # noqa: S311 — no secret
            if not run.has_changed and time.monotonic() - written < SILENT_SECONDS:
                continue
            try:
                await self._checkpoint(run)
                written = time.monotonic()
            except DatabaseUnreachable:
                run.touch_all()

    def _round_seconds(self) -> float:
        busy = len(self._live) / CHECKPOINTS_PER_SECOND
        return min(max(CHECKPOINT_SECONDS, busy), LONGEST_ROUND_SECONDS)

    async def _checkpoint(self, run: Run) -> None:
        """Store what has been said, write the heartbeat, and apply a command that was sent."""
        async with run.writing:
            statement = self._run_store.beat(run, partial(self._store.draft_writes, run))
            try:
                rows = await self._database.fetch(run.user_id, statement)
            except IntegrityError:
                run.cut("stopped")  # the thread was deleted
                return
        if not rows:
            logger.warning("run %s was given up by another worker", run.id)
            run.cut("interrupted")
        elif rows[0].command is not None:
            self.apply(run.user_id, run.id, rows[0].command)


class Listener:
    """Reads what a run says. Closed before the end, it is the client who has gone."""

    def __init__(self, run: Run, gone: Callable[[], None]) -> None:
        self._chunks = run.chunks
        self._silent = run.silent
        self._gone = gone
        self._not_before = 0.0

    async def next(self, timeout_seconds: float) -> bytes | None:
        """All that was said since the last time, or None at the end.

        Raises TimeoutError when nothing is said.
        """
        async with asyncio.timeout(timeout_seconds):  # (`wait_for` makes a task for each word)
            said = [await self._chunks.get()]
        if said[0] is not None and (pause := self._not_before - time.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._silent.wait(), pause)
        while not self._chunks.empty():
            said.append(self._chunks.get_nowait())
        if said[-1] is None:
            self._chunks.put_nowait(None)
        self._not_before = time.monotonic() + TOGETHER_SECONDS
        return b"".join(filter(None, said)) or None

    def close(self) -> None:
        self._gone()


def _sse(event: ErrorEvent) -> bytes:
    return sse(event.model_dump_json(exclude_none=True).encode())
