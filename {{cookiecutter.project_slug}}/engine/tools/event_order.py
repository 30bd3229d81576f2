"""The order of events that this turn sends and of those that its model sends."""

import asyncio

from chatkit.types import ThreadStreamEvent


class EventOrder:
    """Waits until an event has come out of the SDK's merged stream.

    The SDK merges the turn's own events with the model's in no set order. Code that needs an order
    waits before it reads the next event of the model.
    """

    def __init__(self) -> None:
        self._awaited: ThreadStreamEvent | None = None
        self._arrived = asyncio.Event()

    def sent(self, event: ThreadStreamEvent) -> None:
        self._awaited = event
        self._arrived.clear()

    def arrived(self, event: ThreadStreamEvent) -> None:
        """The reader of the merged stream has got this event."""
        if event is self._awaited:
            self._awaited = None
            self._arrived.set()

    async def flush(self) -> None:
        """Wait until the event that was sent last has arrived."""
        if self._awaited is not None:
            await self._arrived.wait()

    def release(self) -> None:
        """End every wait."""
        self._awaited = None
        self._arrived.set()
