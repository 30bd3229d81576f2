"""Repairs on the event stream: ids that are unique, and a connection that stays open."""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

from agents import RawResponsesStreamEvent, StreamEvent
from chatkit.store import StoreItemType
from chatkit.types import (
    AssistantMessageItem,
    ClientToolCallItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
)
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

SSE_HEADERS = {
    "Cache-Control": "no-cache",
    "Connection": "keep-alive",
    "X-Accel-Buffering": "no",
}
KEEP_ALIVE = b": keep-alive\n\n"


def sse(data: bytes) -> bytes:
    """An event as it goes over the wire. `data` is JSON without line breaks."""
    return b"data: " + data + b"\n\n"


def with_plain_annotation(event: StreamEvent) -> StreamEvent:
    """Turn a citation into the dict that the ChatKit SDK can read.

    It validates against the classes of a finished message; while a message streams, the OpenAI
    client delivers citations in look-alike classes of their own, which it refuses.
    """
    if not isinstance(event, RawResponsesStreamEvent):
        return event
    data = event.data
    if data.type != "response.output_text.annotation.added" or data.annotation is None:
        return event
    # Built without validation, which would turn the dict back into an object.
    plain = data.model_copy(update={"annotation": data.annotation.model_dump()})
    return RawResponsesStreamEvent(data=plain)


class MintedIds:
    """Gives each answer an id of ours.

    The SDK reuses the provider's. With Chat Completions that is the same constant for every
    message, and nobody promises that a compatible server's are unique: a second message under
    the id of the first would overwrite it.
    """

    def __init__(self, new_id: Callable[[StoreItemType], str]) -> None:
        self._new_id = new_id
        self._minted: dict[str, list[str]] = {}
        self._opened: set[str] = set()

    def open_answer(self, given: str) -> str | None:
        """The id of the answer that is under way with the provider's id."""
        return self._minted[given][-1] if given in self._opened else None

    async def mint(
        self, events: AsyncIterator[ThreadStreamEvent]
    ) -> AsyncIterator[ThreadStreamEvent]:
        """The same events, with our ids in the provider's places."""
        async for event in events:
            match event:
                case ThreadItemAddedEvent(item=AssistantMessageItem(id=given) as item):
                    self._opened.add(given)
                    yield _with_id(event, item, self._mint(given, "message"))
                case ThreadItemDoneEvent(item=AssistantMessageItem(id=given) as item):
                    if given not in self._opened:
                        self._mint(given, "message")
                    self._opened.discard(given)
                    yield _with_id(event, item, self._minted[given][-1])
                case ThreadItemDoneEvent(item=ClientToolCallItem(id=given) as item):
                    yield _with_id(event, item, self._mint(given, "tool_call"))
                case ThreadItemUpdatedEvent(item_id=given) if given in self._minted:
                    # In place: the SDK made it for this stream alone.
                    event.item_id = self._minted[given][-1]
                    yield event
                case ThreadItemRemovedEvent(item_id=given) if given in self._minted:
                    self._opened.discard(given)
                    for item_id in self._minted.pop(given):
                        yield ThreadItemRemovedEvent(item_id=item_id)
                case _:
                    yield event

    def _mint(self, given: str, kind: StoreItemType) -> str:
        self._minted.setdefault(given, []).append(self._new_id(kind))
        return self._minted[given][-1]


def _with_id(
    event: ThreadItemAddedEvent | ThreadItemDoneEvent,
    item: AssistantMessageItem | ClientToolCallItem,
    item_id: str,
) -> ThreadStreamEvent:
    return event.model_copy(update={"item": item.model_copy(update={"id": item_id})})


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
