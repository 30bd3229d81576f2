"""Deletes orphaned files: attachments that were never sent, and files without a row."""

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from engine.attachments.files import INCOMING, FilesLeft, FileStore, key_of
from engine.attachments.rows import AttachmentRows
from engine.context.rounds import Rounds

logger = logging.getLogger(__name__)

SWEEP_SECONDS = 3_600.0


@dataclass
class SweepResult:
    swept: int = 0
    left: dict[str, str] = field(default_factory=dict)


class Sweeper:
    """Runs about once an hour, in one process at a time."""

    def __init__(self, rows: AttachmentRows, files: FileStore, orphan_hours: float) -> None:
        self._rows = rows
        self._files = files
        self._grace = timedelta(hours=orphan_hours)
        self._rounds = Rounds(self.sweep, logger, "orphaned files were not deleted")

    def start(self) -> None:
        self._rounds.start(SWEEP_SECONDS)

    async def close(self) -> None:
        await self._rounds.close()

    async def sweep(self) -> int | None:
        """The number of deleted files; None if another process is sweeping."""
        async with self._rows.sweeping() as began:
            if began is None:
                return None
            moment = began - self._grace
            result = SweepResult()
            for user_id, id_ in await self._rows.unsent(moment):
                await self._delete_unsent(user_id, id_, moment, result)
            async for keys in self._files.older_than(moment):
                await self._delete_orphans(await self._orphans(keys), result)
        if result.swept:
            logger.info("%d orphaned files were deleted", result.swept)
        if result.left:
            reasons = FilesLeft(result.left).reasons
            logger.error(
                "%d orphaned files are left to the next sweep: %s", len(result.left), reasons
            )
        return result.swept

    async def _delete_unsent(
        self, user_id: str, id_: str, before: datetime, result: SweepResult
    ) -> None:
        """Delete the file, then its row: if the file is left, the row stays for the next sweep."""
        key = key_of(user_id, id_)
        try:
            async with self._rows.deleting_unsent(user_id, id_, before) as is_unsent:
                if is_unsent:
                    await self._files.delete([key, f"{INCOMING}/{key}"])
            result.swept += is_unsent
        except FilesLeft as error:
            result.left |= error.left

    async def _delete_orphans(self, keys: Sequence[str], result: SweepResult) -> None:
        left: Mapping[str, str] = {}
        try:
            await self._files.delete(keys)
        except FilesLeft as error:
            left = error.left
        result.swept += len(keys) - len(left)
        result.left |= left

    async def _orphans(self, keys: list[str]) -> list[str]:
        """The keys without a row, which includes old uploads that were never checked."""
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
