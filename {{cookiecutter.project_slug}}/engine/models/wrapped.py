"""A model with another model behind it."""

from collections.abc import AsyncIterator
from typing import Any

from agents import (
    Model,
    ModelBehaviorError,
    ModelResponse,
    ModelRetryAdvice,
    ModelRetryAdviceRequest,
    Usage,
)
from agents.items import TResponseStreamEvent
from openai.types.responses import ResponseCompletedEvent, ResponseUsage


class WrappedModel(Model):
    """Passes every call on to `model`; subclasses change the events of its stream."""

    def __init__(self, model: Model) -> None:
        self._model = model

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        return await self._model.get_response(*args, **kwargs)

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice | None:
        return self._model.get_retry_advice(request)

    async def close(self) -> None:
        await self._model.close()


async def whole_response(events: AsyncIterator[TResponseStreamEvent]) -> ModelResponse:
    """The response at the end of a stream. Raises `ModelBehaviorError` if there is none."""
    async for event in events:
        if isinstance(event, ResponseCompletedEvent):
            response = event.response
            return ModelResponse(
                output=response.output, usage=_usage(response.usage), response_id=response.id
            )
    raise ModelBehaviorError("The stream ended without a response.")


def _usage(counted: ResponseUsage | None) -> Usage:
    if counted is None:
        return Usage(requests=1)
    return Usage(
        requests=1,
        input_tokens=counted.input_tokens,
        output_tokens=counted.output_tokens,
        total_tokens=counted.total_tokens,
        input_tokens_details=counted.input_tokens_details,
        output_tokens_details=counted.output_tokens_details,
    )
