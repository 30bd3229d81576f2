"""Checkpoints: heartbeats of the runs of this process, with what was said so far.

Those that are due are written together, in one round trip for each kind of statement. Each run's is
a statement of its own, with its own owner's values.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from random import uniform
from typing import Any, NamedTuple

from sqlalchemy import Executable
from sqlalchemy.exc import IntegrityError

from engine.context.run import Run
from engine.database.database import EVERYBODY, Database, DatabaseUnreachable
from engine.runs.checkpoint_statements import (
    DRAFT,
    DRAFT_OF_RETRY,
    HEARTBEAT,
    draft_parameters,
    heartbeat_parameters,
)
from engine.runs.draft_pace import DraftPace, size_of
from engine.store.item_statements import Parameters

logger = logging.getLogger(__name__)

CHECKPOINT_SECONDS = 1.0
# A process with more runs than it can check in a second takes longer for a round.
CHECKPOINTS_PER_SECOND = 250
LONGEST_ROUND_SECONDS = 4.0
# How often a run writes a heartbeat that has nothing new to store. (See STALE_SECONDS.)
SILENT_SECONDS = 3.0
# Runs of a round do not all fall into one moment: their share is looked for this often.
LOOK_SECONDS = 0.2
EARLIEST, LATEST = 0.8, 1.2
# A batch that takes longer waits for some other transaction, and its runs must not wait for that.
BATCH_SECONDS = 2.0


class _Kind(NamedTuple):
    """Checkpoints of the same kind are written together."""

    statement: Executable
    owner: str | None


class _Schedule:
    """When a run is looked at next, and what of it was written last."""

    def __init__(self, now: float) -> None:
        self.look_at = now
        self.written_at = now
        self.pace = DraftPace()


class _Checkpoint:
    """One run's, which holds `run.writing` until it is written or has failed."""

    def __init__(self, run: Run, schedule: _Schedule, now: float, next_look: float) -> None:
        self.run = run
        self.schedule = schedule
        self._at = now
        drafts = schedule.pace.due(run, next_look)
        self._sizes = {item.id: size_of(item) for item in drafts}
        self.statement: Executable = HEARTBEAT
        self.parameters: list[Parameters] = [heartbeat_parameters(run)]
        if drafts:
            self.statement = DRAFT if run.retry is None else DRAFT_OF_RETRY
            self.parameters = [draft_parameters(run, item) for item in drafts]
        for item in drafts:
            run.take_draft(item.id)
        self._is_open = True

    def succeeded(self) -> None:
        self.schedule.written_at = self._at
        for item_id, size in self._sizes.items():
            self.schedule.pace.wrote(item_id, size, self._at)
        self.close()

    def failed(self) -> None:
        for item_id in self._sizes:
            self.run.touch(item_id)
        self.close()

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self.run.writing.release()


class Checkpoints:
    """Writes the checkpoints of all runs that were added, until they are removed."""

    def __init__(self, database: Database, apply: Callable[[str, str, str], object]) -> None:
        self._database = database
        self._apply = apply
        self._schedules: dict[Run, _Schedule] = {}
        self._looking: asyncio.Task[None] | None = None
        self._writes: set[asyncio.Task[None]] = set()

    def add(self, run: Run) -> None:
        schedule = _Schedule(time.monotonic())
        schedule.look_at += self._pause()
        self._schedules[run] = schedule
        if self._looking is None:
            self._looking = asyncio.create_task(self._keep_looking())

    def remove(self, run: Run) -> None:
        del self._schedules[run]
        if not self._schedules:
            for task in (self._looking, *self._writes):
                if task is not None:
                    task.cancel()
            self._looking = None

    async def write(self, runs: Iterable[Run]) -> None:
        """Write the heartbeats of these runs and the drafts of theirs that are due.

        A run that another worker has closed, or whose thread was deleted, is cut.
        """
        batches: defaultdict[_Kind, list[_Checkpoint]] = defaultdict(list)
        try:
            for run in runs:
                checkpoint = await self._begin(run)
                # A transaction under row-level security sees one owner's rows.
                owner = run.user_id if self._database.row_level_security else EVERYBODY
                batches[_Kind(checkpoint.statement, owner)].append(checkpoint)
            writes = (self._write_batch(kind, batch) for kind, batch in batches.items())
            await asyncio.gather(*writes)
        finally:
            for batch in batches.values():
                for checkpoint in batch:
                    checkpoint.close()

    async def _begin(self, run: Run) -> _Checkpoint:
        await run.writing.acquire()
        now = time.monotonic()
        next_look = now + LATEST * self._round_seconds() + LOOK_SECONDS
        return _Checkpoint(run, self._schedules[run], now, next_look)

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(min(LOOK_SECONDS, CHECKPOINT_SECONDS / 2))
            if due := self._due():
                write = asyncio.create_task(self._write_due(due))
                self._writes.add(write)
                write.add_done_callback(self._writes.discard)

    async def _write_due(self, due: list[Run]) -> None:
        try:
            await self.write(due)
        except Exception:
            logger.exception("checkpoints could not be written")

    def _due(self) -> list[Run]:
        now = time.monotonic()
        due = []
        for run, schedule in self._schedules.items():
            if schedule.look_at > now or run.writing.locked():
                continue
            schedule.look_at = now + self._pause()
            if run.has_changed or now - schedule.written_at >= SILENT_SECONDS:
                due.append(run)
        return due

    def _pause(self) -> float:
        return self._round_seconds() * uniform(EARLIEST, LATEST)  # noqa: S311 — no secret

    def _round_seconds(self) -> float:
        busy = len(self._schedules) / CHECKPOINTS_PER_SECOND
        return min(max(CHECKPOINT_SECONDS, busy), LONGEST_ROUND_SECONDS)

    async def _write_batch(self, kind: _Kind, batch: list[_Checkpoint]) -> None:
        if len(batch) == 1:
            await self._write_alone(batch[0])
            return
        parameters = [values for checkpoint in batch for values in checkpoint.parameters]
        try:
            rows = await self._database.fetch_each(
                kind.owner, kind.statement, parameters, seconds=BATCH_SECONDS
            )
        except DatabaseUnreachable:
            for checkpoint in batch:
                checkpoint.failed()
        except Exception as error:
            # One of them was refused or is blocked: the others are not to suffer from it.
            logger.info("%d checkpoints are written one by one: %r", len(batch), error)
            await asyncio.gather(*map(self._write_alone, batch))
        else:
            commands = {row[0]: row[1] for row in rows}
            for checkpoint in batch:
                self._finish(checkpoint, commands)

    async def _write_alone(self, checkpoint: _Checkpoint) -> None:
        run, commands = checkpoint.run, {}
        try:
            for parameters in checkpoint.parameters:
                rows = await self._database.fetch(run.user_id, checkpoint.statement, parameters)
                commands = {row.id: row.command for row in rows}
        except IntegrityError:
            checkpoint.failed()
            run.cut("stopped")  # the thread was deleted
        except DatabaseUnreachable:
            checkpoint.failed()
        except Exception:
            checkpoint.failed()
            logger.exception("the checkpoint of run %s could not be written", run.id)
        else:
            self._finish(checkpoint, commands)

    def _finish(self, checkpoint: _Checkpoint, commands: Mapping[str, Any]) -> None:
        run = checkpoint.run
        if run.id in commands:
            checkpoint.succeeded()
            if (command := commands[run.id]) is not None:
                self._apply(run.user_id, run.id, command)
            return
        checkpoint.failed()
        if run.is_running:
            logger.warning("run %s was given up by another worker", run.id)
            run.cut("interrupted")
