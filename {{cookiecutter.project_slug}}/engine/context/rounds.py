"""Work of maintenance that is repeated in the background."""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from engine.database.database import DatabaseUnreachable
from engine.http.errors import Unavailable


class Rounds:
    """Does `work` about every so many seconds. `failed` is what the log says when it raises."""

    def __init__(
        self, work: Callable[[], Awaitable[object]], logger: logging.Logger, failed: str
    ) -> None:
        self._work = work
        self._logger = logger
        self._failed = failed
        self._task: asyncio.Task[None] | None = None

    def start(self, seconds: float) -> None:
        self._task = asyncio.create_task(self._repeat(seconds))

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _repeat(self, seconds: float) -> None:
        while True:
            # A random delay, so that workers do not begin at the same time or while they start.
            await asyncio.sleep(seconds * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                await self._work()
            except (DatabaseUnreachable, Unavailable) as error:
                self._logger.warning("%s: %s", self._failed, error)
            except Exception:
                self._logger.exception(self._failed)
