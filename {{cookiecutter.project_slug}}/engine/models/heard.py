"""A model that fails only once all that it said before has been heard."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from agents import Model
from agents.items import TResponseStreamEvent

from engine.models.wrapped import WrappedModel

# A reader that takes longer than this has gone.
PATIENCE_SECONDS = 5.0


class HeardModel(WrappedModel):
    """Keeps the text before a failure.

    The Agents SDK puts a model's events into a queue, and when the model fails, it throws away
    those that nobody has read yet. Text and failure that arrive in one piece would lose the text.
    """

    def __init__(self, model: Model) -> None:
        super().__init__(model)
        self._unheard = 0
        self._all_heard = asyncio.Event()

    def heard(self) -> None:
        """The reader has taken one more event, and passed it on."""
        self._unheard -= 1
        if self._unheard <= 0:
            self._all_heard.set()

    async def stream_response(
        self, *args: Any, **kwargs: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        try:
            async for event in self._model.stream_response(*args, **kwargs):
                self._unheard += 1
                self._all_heard.clear()
                yield event
        except Exception:
            await self._until_heard()
            raise
        # Also here: one that ends without having completed its answer is a failure to the SDK.
        await self._until_heard()

    async def _until_heard(self) -> None:
        if self._unheard > 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._all_heard.wait(), PATIENCE_SECONDS)
