"""Repairs on the event stream: ids that are unique, and a connection that stays open."""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable

from agents import RawResponsesStreamEvent, StreamEvent
from anyio import CancelScope
from chatkit.errors import ErrorCode
from chatkit.store import StoreItemType
from chatkit.types import (
    AssistantMessageItem,
    ClientToolCallItem,
    ErrorEvent,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
)
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

logger = logging.getLogger(__name__)

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
                yield event.model_copy(update={"item_id": minted[given][-1]})
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


class EventStream(StreamingResponse):
    """Server-sent events with a comment line whenever nothing was said for a while.

    When the client goes away, the source is cancelled where it stands and has finished its
    clean-up before the response ends.
    """

    def __init__(self, chunks: AsyncIterator[bytes], keep_alive_seconds: float) -> None:
        self._chunks = _kept_alive(chunks, keep_alive_seconds)
        super().__init__(self._chunks, media_type="text/event-stream", headers=SSE_HEADERS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            with CancelScope(shield=True):
                await self._chunks.aclose()


async def _kept_alive(chunks: AsyncIterator[bytes], seconds: float) -> AsyncGenerator[bytes, None]:
    # The source runs in a task of its own and never waits for the reader, so that a
    # cancellation always lands inside it, where the SDK can save what has been said.
    # (`wait_for(anext(…))` would cancel the source at every silence.)
    queue: asyncio.Queue[bytes | None] = asyncio.Queue()
    source = asyncio.create_task(_pour(chunks, queue))
    try:
        while True:
            try:
                chunk = await asyncio.wait_for(queue.get(), seconds)
            except TimeoutError:
                yield KEEP_ALIVE
                continue
            if chunk is None:
                return
            yield chunk
    finally:
        source.cancel()
        with CancelScope(shield=True):
            await asyncio.wait({source})


async def _pour(chunks: AsyncIterator[bytes], queue: asyncio.Queue[bytes | None]) -> None:
    try:
        async for chunk in chunks:
            queue.put_nowait(chunk)
    except Exception:
        logger.exception("a stream broke")
        error = ErrorEvent(code=ErrorCode.STREAM_ERROR, allow_retry=True)
        queue.put_nowait(b"data: " + error.model_dump_json(exclude_none=True).encode() + b"\n\n")
    finally:
        queue.put_nowait(None)
