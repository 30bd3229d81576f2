"""The events before a model's error reach their reader."""

from collections.abc import AsyncIterator
from typing import Any

from agents import ModelBehaviorError
from agents.items import TResponseStreamEvent
from openai.types.responses import ResponseCompletedEvent

from engine.models.wrapped import WrappedModel
from engine.sdk_internals import keep_events_before


class EventsBeforeErrorModel(WrappedModel):
    """Keeps the text before an error.

    The Agents SDK puts a model's events into a queue, and when the model fails, it drops those
    that were not read yet. Text and error that arrive together would lose the text.
    """

    async def stream_response(
        self, *args: Any, **kwargs: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        is_complete = False
        try:
            async for event in self._model.stream_response(*args, **kwargs):
                is_complete = is_complete or isinstance(event, ResponseCompletedEvent)
                yield event
            if not is_complete:  # The SDK would raise the same, and drop the text.
                raise ModelBehaviorError("The stream ended without a response.")
        except Exception as error:
            keep_events_before(error)
            raise
