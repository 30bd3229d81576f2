"""Chunks that follow each other within milliseconds leave in one write.

Writing to the socket is a third of the work for a text delta.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

JOIN_SECONDS = 0.005


class JoinedChunks:
    """Reads the chunks of a run until None. `disconnected` is called when the reading stops.

    `closed` is set with the last chunk, so that the end of an answer is not delayed.
    """

    def __init__(
        self,
        chunks: asyncio.Queue[bytes | None],
        closed: asyncio.Event,
        disconnected: Callable[[], None],
    ) -> None:
        self._chunks = chunks
        self._closed = closed
        self._disconnected = disconnected
        self._not_before = 0.0

    async def next(self, timeout_seconds: float) -> bytes | None:
        """All chunks since the last call, or None at the end.

        Raises TimeoutError when there is none in that time.
        """
        async with asyncio.timeout(timeout_seconds):  # (`wait_for` makes a task for each chunk)
            chunks = [await self._chunks.get()]
        if chunks[0] is not None and (pause := self._not_before - time.monotonic()) > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._closed.wait(), pause)
        while not self._chunks.empty():
            chunks.append(self._chunks.get_nowait())
        if chunks[-1] is None:
            self._chunks.put_nowait(None)
        self._not_before = time.monotonic() + JOIN_SECONDS
        return b"".join(filter(None, chunks)) or None

    def close(self) -> None:
        self._disconnected()
