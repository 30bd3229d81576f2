"""How long a model may keep silent."""

import asyncio
from collections.abc import Callable
from typing import Any

Heard = Callable[[], None]
"""Called for each piece that arrives, be it only a ping."""


class Patience:
    """A limit on silence: each sign of life while it is waited within begins it anew.

    Raises `TimeoutError`, as `asyncio.timeout` does.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._limit: asyncio.Timeout | None = None

    def heard(self) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + self._seconds)

    async def __aenter__(self) -> None:
        self._limit = await asyncio.timeout(self._seconds).__aenter__()

    async def __aexit__(self, *error: Any) -> None:
        limit, self._limit = self._limit, None
        assert limit is not None
        await limit.__aexit__(*error)
