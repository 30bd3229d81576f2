"""Server-sent events, and a connection that stays open."""

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

SSE_HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "keep-alive",
    "X-Accel-Buffering": "no",
}
# A comment line, without the blank line that ends an event: fetch-event-source, with which the
# element most probably reads, makes an event without data of each blank line, which is no JSON.
KEEP_ALIVE = b": keep-alive\n"


def sse(data: bytes) -> bytes:
    """An event as it goes over the wire. `data` is JSON without line breaks."""
    return b"data: " + data + b"\n\n"


class Source(Protocol):
    async def next(self, timeout_seconds: float) -> bytes | None: ...

    def close(self) -> None: ...


class EventStream(StreamingResponse):
    """Server-sent events, with a comment line whenever nothing was said for a while."""

    def __init__(
        self, source: Source, keep_alive_seconds: float, headers: Mapping[str, str]
    ) -> None:
        self._source = source
        super().__init__(
            _kept_alive(source, keep_alive_seconds),
            media_type="text/event-stream",
            headers={**SSE_HEADERS, **headers},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._source.close()


async def _kept_alive(source: Source, seconds: float) -> AsyncIterator[bytes]:
    while True:
        try:
            chunk = await source.next(seconds)
        except TimeoutError:
            yield KEEP_ALIVE
            continue
        if chunk is None:
            return
        yield chunk
