"""Server-sent events (SSE) with keep-alive comments."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

SSE_HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "keep-alive",
    "X-Accel-Buffering": "no",
}
# A comment line without the blank line that ends an event: the client library fetch-event-source
# turns each blank line into an event without data, which the element cannot parse as JSON.
KEEP_ALIVE = b": keep-alive\n"


def sse(data: bytes) -> bytes:
    """One encoded event. `data` is JSON without line breaks."""
    return b"data: " + data + b"\n\n"


class Source(Protocol):
    async def next(self, timeout_seconds: float) -> bytes | None: ...

    def close(self) -> None: ...


class EventStream(StreamingResponse):
    """Server-sent events, with a comment line after `keep_alive_seconds` without an event."""

    def __init__(
        self, source: Source, keep_alive_seconds: float, headers: Mapping[str, str]
    ) -> None:
        self._source = source
        super().__init__(
            _with_keep_alive(source, keep_alive_seconds),
            media_type="text/event-stream",
            headers={**SSE_HEADERS, **headers},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._source.close()


async def _with_keep_alive(source: Source, seconds: float) -> AsyncIterator[bytes]:
    while True:
        try:
            chunk = await source.next(seconds)
        except TimeoutError:
            yield KEEP_ALIVE
            continue
        if chunk is None:
            return
        yield chunk
