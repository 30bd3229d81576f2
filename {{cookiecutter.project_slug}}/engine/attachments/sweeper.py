"""Clears away what nobody refers to: files that were never sent, and files without a row."""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from engine.attachments.files import INCOMING, FilesLeft, FileStore, key_of
from engine.attachments.rows import AttachmentRows
from engine.database.database import DatabaseUnreachable
from engine.http.errors import Unavailable

logger = logging.getLogger(__name__)

ROUND_SECONDS = 3_600.0


@dataclass
class Round:
    swept: int = 0
    left: dict[str, str] = field(default_factory=dict)


class Sweeper:
    """Looks once in a while, in one process at a time."""

    def __init__(self, rows: AttachmentRows, files: FileStore, orphan_hours: float) -> None:
        self._rows = rows
        self._files = files
        self._grace = timedelta(hours=orphan_hours)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_sweeping())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep_sweeping(self) -> None:
        while True:
            # Not all workers at once, and not while they start.
            await asyncio.sleep(ROUND_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                await self.sweep()
            except (DatabaseUnreachable, Unavailable):
                logger.warning("files could not be swept: something is away")
            except Exception:
                logger.exception("files could not be swept")

    async def sweep(self) -> int | None:
        """How many files were deleted; None when another process is at it."""
        moment = datetime.now(UTC) - self._grace
        async with self._rows.sweeping() as is_ours:
            if not is_ours:
                return None
            done = Round()
            for user_id, id_ in await self._rows.unsent(moment):
                await self._delete_unsent(user_id, id_, moment, done)
            async for keys in self._files.older_than(moment):
                await self._delete_strays(await self._strays(keys), done)
        if done.swept:
            logger.info("%d files were swept", done.swept)
        if done.left:
            reasons = FilesLeft(done.left).reasons
            logger.error("%d files are left to the next round: %s", len(done.left), reasons)
        return done.swept

    async def _delete_unsent(self, user_id: str, id_: str, before: datetime, done: Round) -> None:
        """Delete the file, and then its row: a row whose file is left stays for the next round."""
        key = key_of(user_id, id_)
        try:
            async with self._rows.deleting_unsent(user_id, id_, before) as is_unsent:
                if is_unsent:
                    await self._files.delete([key, f"{INCOMING}/{key}"])
            done.swept += is_unsent
        except FilesLeft as error:
            done.left |= error.left

    async def _delete_strays(self, keys: Sequence[str], done: Round) -> None:
        left: Mapping[str, str] = {}
        try:
            await self._files.delete(keys)
        except FilesLeft as error:
            left = error.left
        done.swept += len(keys) - len(left)
        done.left |= left

    async def _strays(self, keys: list[str]) -> list[str]:
        """Those that no row refers to. What has lain among the uploads for so long is one."""
        by_owner: dict[str, set[str]] = defaultdict(set)
        for owner, id_ in _owned(keys):
            by_owner[owner].add(id_)
        known = await self._rows.known(by_owner)
        return [key for key in keys if key not in known]


def _owned(keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    for key in keys:
        owner, slash, id_ = key.partition("/")
        if slash and owner != INCOMING:
            yield owner, id_
