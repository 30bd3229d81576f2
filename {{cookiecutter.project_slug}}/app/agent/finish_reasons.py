"""The reason why an answer ended: Chat Completions send it, the Agents SDK does not pass it on."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, Self

from openai.types.chat import ChatCompletionChunk
from openai.types.responses import Response
from openai.types.responses.response import IncompleteDetails

CONTENT_FILTER = "content_filter"

# By `finish_reason` of Chat Completions: what the Responses API calls it.
INCOMPLETE: Mapping[str | None, Literal["max_output_tokens", "content_filter"]] = {
    "length": "max_output_tokens",
    CONTENT_FILTER: "content_filter",
}


class WithReason(AsyncIterator[ChatCompletionChunk]):
    """The same chunks; the reason of an answer that is cut is noted in `response`.

    The SDK translates the chunks into events and ends with a copy of `response`. So the reason
    is found there in the `response.completed` event, as the Responses API would have it:
    `status` is "incomplete", `incomplete_details.reason` is "max_output_tokens" or
    "content_filter".
    """

    def __init__(self, response: Response, chunks: Any) -> None:
        self._response = response
        self._chunks = chunks

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> ChatCompletionChunk:
        chunk: ChatCompletionChunk = await anext(self._chunks)
        for choice in chunk.choices:
            if reason := INCOMPLETE.get(choice.finish_reason):
                self._response.status = "incomplete"
                self._response.incomplete_details = IncompleteDetails(reason=reason)
            if choice.finish_reason == CONTENT_FILTER:
                # The SDK would put English words of its own into the model's mouth.
                choice.finish_reason = "stop"
        return chunk

    async def aclose(self) -> None:
        close = getattr(self._chunks, "aclose", None) or self._chunks.close
        await close()
