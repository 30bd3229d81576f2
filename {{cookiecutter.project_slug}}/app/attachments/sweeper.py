"""Clears away what nobody refers to: files that were never sent, and files without a row."""

import asyncio
import logging
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from app.attachments.files import INCOMING, FileStore, key_of
from app.db import DatabaseAway
from app.errors import Unavailable
from app.stores.attachments import AttachmentRows

logger = logging.getLogger(__name__)

ROUND_SECONDS = 3_600.0


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
            except (DatabaseAway, Unavailable):
                logger.warning("files could not be swept: something is away")
            except Exception:
                logger.exception("files could not be swept")

    async def sweep(self) -> int | None:
        """How many files were deleted; None when another process is at it."""
        moment = datetime.now(UTC) - self._grace
        async with self._rows.sweeping() as is_ours:
            if not is_ours:
                return None
            unsent = await self._rows.delete_unsent(moment)
            await self._delete(key_of(user_id, id_) for user_id, id_ in unsent)
            swept = len(unsent)
            async for keys in self._files.older_than(moment):
                strays = await self._strays(keys)
                await self._delete(strays)
                swept += len(strays)
        if swept:
            logger.info("%d files were swept", swept)
        return swept

    async def _delete(self, keys: Iterable[str]) -> None:
        await self._files.delete(list(keys))

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
