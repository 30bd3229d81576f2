"""The signal to stop, heard before the server acts on it."""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Shutdown:
    """Calls `begin` in the event loop at the first signal, then whoever listened before.

    uvicorn goes on to wait for the open responses; without this they would not know that they
    have to end. In a thread that is not the main one, where no signals arrive, it does nothing.
    """

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin = begin
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._hear)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._begin)
        before = self._before[number]
        if callable(before):
            before(number, frame)
