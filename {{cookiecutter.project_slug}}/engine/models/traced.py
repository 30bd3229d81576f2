"""A span for each call of a model."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any, cast

from agents import Model
from agents.items import TResponseStreamEvent
from openai.types.responses import ResponseCompletedEvent
from opentelemetry.trace import Span, SpanKind, StatusCode

from engine.models.boundary.failures import reason_name
from engine.models.wrapped import WrappedModel
from engine.telemetry.measures import tracer


class TracedModel(WrappedModel):
    """Has the model's name, the duration, the tokens, and the reason of a failure."""

    def __init__(self, name: str, model: Model) -> None:
        super().__init__(model)
        self._name = name

    async def stream_response(self, *args: Any, **more: Any) -> AsyncIterator[TResponseStreamEvent]:
        # Not made current: an async generator may be closed in another context.
        span = tracer.start_span("model", kind=SpanKind.CLIENT)
        span.set_attribute("gen_ai.request.model", self._name)
        stream = self._model.stream_response(*args, **more)
        try:
            async with aclosing(
                cast("AsyncGenerator[TResponseStreamEvent, None]", stream)
            ) as events:
                async for event in events:
                    if isinstance(event, ResponseCompletedEvent):
                        _describe(span, event)
                    yield event
        except Exception as error:
            span.set_attribute("chat.reason", reason_name(error))
            span.set_status(StatusCode.ERROR)
            raise
        finally:
            span.end()


def _describe(span: Span, event: ResponseCompletedEvent) -> None:
    if (usage := event.response.usage) is not None:
        span.set_attribute("gen_ai.usage.input_tokens", usage.input_tokens)
        span.set_attribute("gen_ai.usage.output_tokens", usage.output_tokens)
