"""Keeps the finish reason of Chat Completions, which the Agents SDK does not pass on.

The client stores the `finish_reason` while it reads the stream; a context variable connects it with
the response of the same task.
"""

from collections.abc import AsyncIterator
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Literal

Cut = Literal["length", "filter"]

_LENGTH = {"length", "max_length", "max_output_tokens", "max_tokens", "model_length"}
_FILTER = {
    "blocklist",
    "content_filter",
    "prohibited_content",
    "recitation",
    "refusal",
    "safety",
    "sensitive",
    "spii",
}
_FAILED = {
    "abort",
    "error",
    "insufficient_system_resource",
    "malformed_function_call",
    "network_error",
    "unexpected_tool_call",
}


@dataclass
class Ending:
    """The server's finish reason; None until the response ends."""

    reason: str | None = None

    @property
    def cut(self) -> Cut | None:
        return cut_of(self.reason)

    @property
    def failed(self) -> bool:
        return (self.reason or "").lower() in _FAILED


_current: ContextVar[Ending | None] = ContextVar("ending", default=None)


def track_ending() -> Ending:
    """The ending of the next response that this task requests."""
    ending = Ending()
    _current.set(ending)
    return ending


def cut_of(reason: object) -> Cut | None:
    """The kind of limit that ended the answer; None if the reason is not a limit."""
    name = str(reason or "").lower()
    if name in _LENGTH:
        return "length"
    return "filter" if name in _FILTER else None


def track_finish_reason(stream: Any) -> Any:
    """The same stream of chunks, which stores its finish reason for this task."""
    ending = _current.get()
    return stream if ending is None else _TrackedStream(stream, ending)


class _TrackedStream:
    def __init__(self, stream: Any, ending: Ending) -> None:
        self._stream = stream
        self._ending = ending

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aiter__(self) -> AsyncIterator[Any]:
        async for chunk in self._stream:
            for choice in getattr(chunk, "choices", None) or ():
                if reason := getattr(choice, "finish_reason", None):
                    self._ending.reason = str(reason)
            yield chunk
