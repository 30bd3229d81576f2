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


async def mint_ids(
    events: AsyncIterator[ThreadStreamEvent], new_id: Callable[[StoreItemType], str]
) -> AsyncIterator[ThreadStreamEvent]:
    """Give each answer an id of ours.

    The SDK reuses the provider's. With Chat Completions that is the same constant for every
    message, and nobody promises that a compatible server's are unique: a second message under
    the id of the first would overwrite it.
    """
    minted: dict[str, list[str]] = {}
    opened: set[str] = set()
    async for event in events:
        match event:
            case ThreadItemAddedEvent(item=AssistantMessageItem(id=given) as item):
                minted.setdefault(given, []).append(new_id("message"))
                opened.add(given)
                yield _with_id(event, item, minted[given][-1])
            case ThreadItemDoneEvent(item=AssistantMessageItem(id=given) as item):
                if given not in opened:
                    minted.setdefault(given, []).append(new_id("message"))
                opened.discard(given)
                yield _with_id(event, item, minted[given][-1])
            case ThreadItemDoneEvent(item=ClientToolCallItem(id=given) as item):
                minted.setdefault(given, []).append(new_id("tool_call"))
                yield _with_id(event, item, minted[given][-1])
            case ThreadItemUpdatedEvent(item_id=given) if given in minted:
                # In place: there is one for each word, and the SDK made it for this stream alone.
                event.item_id = minted[given][-1]
                yield event
            case ThreadItemRemovedEvent(item_id=given) if given in minted:
                for item_id in minted.pop(given):
                    yield ThreadItemRemovedEvent(item_id=item_id)
            case _:
                yield event


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
