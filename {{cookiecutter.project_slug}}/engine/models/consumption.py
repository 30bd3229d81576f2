"""A model's error is delayed until the events before it were read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from agents import Model
from agents.items import TResponseStreamEvent

from engine.models.wrapped import WrappedModel

# A reader that takes longer than this has gone.
PATIENCE_SECONDS = 5.0


class Consumption:
    """Counts the events that the models of a turn have sent and that were not read yet."""

    def __init__(self) -> None:
        self._unread = 0
        self._all_read = asyncio.Event()

    def sent(self) -> None:
        self._unread += 1
        self._all_read.clear()

    def read(self) -> None:
        """The reader has taken one more event, and passed it on."""
        self._unread -= 1
        if self._unread <= 0:
            self._all_read.set()

    async def until_all_read(self) -> None:
        if self._unread > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_read.wait(), PATIENCE_SECONDS)


class DelayedErrorModel(WrappedModel):
    """Keeps the text before an error.

    The Agents SDK puts a model's events into a queue, and when the model fails, it throws away
    those that were not read yet. Text and error that arrive in one piece would lose the text.
    """

    def __init__(self, model: Model, consumption: Consumption) -> None:
        super().__init__(model)
        self._consumption = consumption

    async def stream_response(
        self, *args: Any, **kwargs: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        try:
            async for event in self._model.stream_response(*args, **kwargs):
                self._consumption.sent()
                yield event
        except Exception:
            await self._consumption.until_all_read()
            raise
        # Also here: a stream that ends without a completed response is an error to the SDK.
        await self._consumption.until_all_read()
