"""The runs of this process, each in a task that goes on when its client disconnects."""

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import partial

from chatkit.errors import ErrorCode
from chatkit.types import ErrorEvent

from engine.context.run import Run
from engine.database.database import Database, DatabaseUnreachable
from engine.database.run_commands import RunCommand
from engine.http.errors import ServerBusy, Unavailable
from engine.http.event_stream import sse
from engine.runs.checkpoints import Checkpoints
from engine.runs.measured import measured
from engine.runs.run_store import RunStore
from engine.settings.settings import Settings
from engine.speed.garbage import collect_garbage_of_few
from engine.speed.joined_chunks import JoinedChunks
from engine.telemetry.measures import failures
from engine.text.locales import ENGLISH, translate

logger = logging.getLogger(__name__)

# How long after a client disconnected its "leave" may still arrive, on another connection.
LEAVE_SECONDS = 0.8
# How long a message waits for the answer before it, which is being stopped.
SETTLE_SECONDS = 3.0

BUSY_SECONDS = 5
BROKEN = ErrorEvent(code=ErrorCode.STREAM_ERROR, allow_retry=True)
RESTARTING = "The server is restarting. What was said is kept; please try again in a moment."


class Runs:
    def __init__(self, settings: Settings, database: Database, run_store: RunStore) -> None:
        self._settings = settings
        self._run_store = run_store
        self._checkpoints = Checkpoints(database, self.apply)
        self._live: dict[tuple[str, str], Run] = {}
        self._draining: asyncio.Task[None] | None = None

    def check_capacity(self) -> None:
        """Raise `ServerBusy` or `Unavailable` when this process takes no further run."""
        if self.is_draining:
            raise Unavailable("This server is about to stop. Please try again.")
        if len(self._live) >= self._settings.answers_per_process:
            raise ServerBusy("The server is busy right now. Please try again.", BUSY_SECONDS)

    def start(self, run: Run, source: AsyncIterator[bytes], locale: str = ENGLISH) -> JoinedChunks:
        """Run it in a task. `source` is cancelled where it stands when the run is cut."""
        self._live[run.user_id, run.id] = run
        run.task = asyncio.create_task(self._execute(run, source, locale))
        return JoinedChunks(run.chunks, run.closed, partial(self._client_disconnected, run))

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
        with measured(run):
            await self._stream(run, source, locale)

    async def _stream(self, run: Run, source: AsyncIterator[bytes], locale: str) -> None:
        self._checkpoints.add(run)
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
            failures.add(1, {"reason": "broken"})
            run.send(_sse(BROKEN))
        finally:
            self._checkpoints.remove(run)
            try:
                await self._end(run)
            except Exception:
                logger.exception("run %s could not be ended", run.id)
            # Only now: a client that reads the end may send the next message at once.
            run.send(None)
            del self._live[run.user_id, run.id]
            collect_garbage_of_few(len(self._live))

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


def _sse(event: ErrorEvent) -> bytes:
    return sse(event.model_dump_json(exclude_none=True).encode())
