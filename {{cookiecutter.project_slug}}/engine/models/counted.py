"""Counts the tokens of a model's responses, as its server reports them."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from agents import Model, ModelResponse, Usage
from agents.items import TResponseStreamEvent
from openai.types.responses import ResponseCompletedEvent, ResponseUsage

from engine.models.wrapped import WrappedModel

# Called with the tokens of each response that has been counted.
Counted = Callable[[ResponseUsage | Usage], None]


class CountedModel(WrappedModel):
    def __init__(self, model: Model, counted: Counted) -> None:
        super().__init__(model)
        self._counted = counted

    async def stream_response(
        self, *args: Any, **kwargs: Any
    ) -> AsyncIterator[TResponseStreamEvent]:
        async for event in self._model.stream_response(*args, **kwargs):
            if isinstance(event, ResponseCompletedEvent) and event.response.usage is not None:
                self._counted(event.response.usage)
            yield event

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        response = await self._model.get_response(*args, **kwargs)
        self._counted(response.usage)
        return response


def cached_tokens(usage: ResponseUsage | Usage) -> int:
    """Those that the provider took from its cache; 0 if it does not say."""
    return getattr(usage.input_tokens_details, "cached_tokens", 0) or 0
