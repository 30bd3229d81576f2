"""Handles the signals to stop before the server does."""

import asyncio
import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Shutdown:
    """Calls `begin` in the event loop on SIGINT and SIGTERM, then the previous signal handler.

    uvicorn waits for open responses before the lifespan ends; `begin` tells them to end. It does
    nothing outside of the main thread, where no signals arrive.
    """

    def __init__(self, begin: Callable[[], None]) -> None:
        self._begin = begin
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._previous[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        for number, previous in self._previous.items():
            signal.signal(number, previous)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._begin)
        previous = self._previous[number]
        if callable(previous):
            previous(number, frame)
