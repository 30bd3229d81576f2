"""A model through LiteLLM, with what LiteLLM leaves out of its streams.

LiteLLM drops pings, gives every error inside an Anthropic stream the status 500, and takes any end
of a Gemini stream for a good one. So the events are read where its own parsers read them.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Self

import httpx
from agents import ModelBehaviorError, ModelSettings
from agents.extensions.models.litellm_model import LitellmModel
from litellm.exceptions import MidStreamFallbackError
from litellm.llms.base_llm.chat.transformation import BaseLLMException
from openai.types.shared import Reasoning

from engine.models.boundary.endings import track_finish_reason
from engine.models.boundary.learned import replays_reasoning
from engine.models.litellm.patience import Heard
from engine.sdk_internals import CompletionsHooks

# https://platform.claude.com/docs/en/api/errors
ANTHROPIC_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}

# https://ai.google.dev/api/generate-content#FinishReason: those with which an answer has failed.
GEMINI_FAILED = {
    "MALFORMED_FUNCTION_CALL",
    "MALFORMED_RESPONSE",
    "MISSING_THOUGHT_SIGNATURE",
    "TOO_MANY_TOOL_CALLS",
    "UNEXPECTED_TOOL_CALL",
}


class ObservedModel(CompletionsHooks, LitellmModel):  # type: ignore[misc] # opens two methods
    """Calls `heard` while its answer arrives, and passes on why the answer ended.

    For one request at a time.
    """

    def __init__(self, name: str, heard: Heard) -> None:
        super().__init__(name, should_replay_reasoning_content=replays_reasoning)
        self._heard = heard
        self._effort: Any | None = None

    async def fetch(
        self, settings: ModelSettings, send: Callable[[ModelSettings], Awaitable[Any]]
    ) -> Any:
        # The SDK sends a model's thinking back with the results of its tools, as Anthropic asks,
        # only if an effort is set; but there are models that think by default.
        self._effort = super().reasoning_effort(settings)
        thinking = ModelSettings(reasoning=Reasoning(effort=self._effort or "low"))
        fetched = await send(settings.resolve(thinking))
        if not isinstance(fetched, tuple):
            return fetched
        response, stream = fetched
        return response, track_finish_reason(_Observed(stream, self._heard))

    def reasoning_effort(self, settings: ModelSettings) -> Any | None:
        return self._effort


class _Observed(AsyncIterator[Any]):
    """LiteLLM's chunks. Raises the provider's own error, and where an answer has failed."""

    def __init__(self, stream: Any, heard: Heard) -> None:
        self._stream = stream
        self._heard = heard
        self._ending = _NativeEnding()
        if (parser := getattr(stream, "completion_stream", None)) is not None:
            self._observe(parser)
        elif (make_call := getattr(stream, "make_call", None)) is not None:
            # The request is not sent before the first chunk is read.
            stream.make_call = self._observing(make_call)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._stream)
        except StopAsyncIteration:
            self._ending.check()
            raise
        except MidStreamFallbackError as error:  # LiteLLM's router would go on with another model
            raise error.original_exception or error from None

    async def aclose(self) -> None:
        await self._stream.aclose()

    def _observing(self, make_call: Any) -> Any:
        async def observed(*args: Any, **kwargs: Any) -> Any:
            return self._observe(await make_call(*args, **kwargs))

        return observed

    def _observe(self, parser: Any) -> Any:
        """`parser` is LiteLLM's for the provider, or a stream of OpenAI's client."""
        if isinstance(lines := getattr(parser, "streaming_response", None), AsyncIterator):
            parser.streaming_response = _HeardLines(lines, self._heard)
        elif isinstance(response := getattr(parser, "response", None), httpx.Response):
            response.stream = _HeardBytes(response.stream, self._heard)
        if parse := getattr(parser, "chunk_parser", None):
            parser.chunk_parser = self._reading(parse)
        return parser

    def _reading(self, parse: Any) -> Any:
        def read(*args: Any, **kwargs: Any) -> Any:
            for event in (*args, *kwargs.values()):
                if isinstance(event, dict):
                    self._ending.read(event)
            return parse(*args, **kwargs)

        return read


class _NativeEnding:
    """How a stream ends, in the provider's own terms."""

    def __init__(self) -> None:
        self._is_gemini = False
        self._reason: str | None = None

    def read(self, event: Mapping[str, Any]) -> None:
        if event.get("type") == "error" and isinstance(error := event.get("error"), dict):
            status = ANTHROPIC_STATUS.get(str(error.get("type")), 500)
            # LiteLLM raises this for what comes as a status, and makes an error of OpenAI's of it.
            raise BaseLLMException(status, f"{error.get('type')}: {error.get('message')}")
        candidates = event.get("candidates")
        if candidates or event.get("promptFeedback"):
            self._is_gemini = True
            reasons = (candidate.get("finishReason") for candidate in candidates or [])
            self._reason = next(filter(None, reasons), None) or self._reason
            self._reason = (event.get("promptFeedback") or {}).get("blockReason") or self._reason

    def check(self) -> None:
        if self._is_gemini and (self._reason is None or self._reason in GEMINI_FAILED):
            raise ModelBehaviorError(
                f"Expected a whole answer, found the finishReason {self._reason}. Ask again."
            )


class _HeardLines(AsyncIterator[Any]):
    def __init__(self, lines: Any, heard: Heard) -> None:
        self._lines = lines
        self._heard = heard

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        line = await anext(self._lines)
        self._heard()
        return line

    async def aclose(self) -> None:
        await self._lines.aclose()


class _HeardBytes(httpx.AsyncByteStream):
    def __init__(self, stream: Any, heard: Heard) -> None:
        self._stream = stream
        self._heard = heard

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._stream:
            self._heard()
            yield piece

    async def aclose(self) -> None:
        await self._stream.aclose()
