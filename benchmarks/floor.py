"""The baseline: the SDKs alone, as in their samples, with everything in memory.

It is `openai-chatkit`'s own sample of a backend: one FastAPI route, `server.process()`, a store of
dicts, `stream_agent_response`, without checks, persistence and users. Model and tools are those of the
generated project, so that both stream the same text.
"""

from collections.abc import AsyncIterator
from typing import Any, TypeVar

from agents import Agent, RunConfig, Runner
from app.agent.tool_list import TOOLS
from chatkit.agents import AgentContext, simple_to_agent_input, stream_agent_response
from chatkit.server import ChatKitServer, StreamingResult
from chatkit.store import NotFoundError, Store
from chatkit.types import (
    Attachment,
    Page,
    ThreadItem,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
)
from engine.demo.model import DemoModel
from engine.settings.settings import Settings
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

Context = dict[str, Any]
Row = TypeVar("Row", ThreadMetadata, ThreadItem)


class MemoryStore(Store[Context]):
    def __init__(self) -> None:
        self._threads: dict[str, ThreadMetadata] = {}
        self._items: dict[str, list[ThreadItem]] = {}

    async def load_thread(self, thread_id: str, context: Context) -> ThreadMetadata:
        if thread_id not in self._threads:
            raise NotFoundError(thread_id)
        return self._threads[thread_id].model_copy(deep=True)

    async def save_thread(self, thread: ThreadMetadata, context: Context) -> None:
        self._threads[thread.id] = thread

    async def load_threads(
        self, limit: int, after: str | None, order: str, context: Context
    ) -> Page[ThreadMetadata]:
        return _page(list(self._threads.values()), limit, after, order)

    async def delete_thread(self, thread_id: str, context: Context) -> None:
        self._threads.pop(thread_id, None)
        self._items.pop(thread_id, None)

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: Context
    ) -> Page[ThreadItem]:
        return _page(self._items.get(thread_id, []), limit, after, order)

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: Context) -> None:
        await self.save_item(thread_id, item, context)

    async def save_item(self, thread_id: str, item: ThreadItem, context: Context) -> None:
        items = self._items.setdefault(thread_id, [])
        for index, known in enumerate(items):
            if known.id == item.id:
                items[index] = item
                return
        items.append(item)

    async def load_item(self, thread_id: str, item_id: str, context: Context) -> ThreadItem:
        for item in self._items.get(thread_id, []):
            if item.id == item_id:
                return item
        raise NotFoundError(item_id)

    async def delete_thread_item(self, thread_id: str, item_id: str, context: Context) -> None:
        items = self._items.get(thread_id, [])
        self._items[thread_id] = [item for item in items if item.id != item_id]

    async def save_attachment(self, attachment: Attachment, context: Context) -> None:
        raise NotImplementedError

    async def load_attachment(self, attachment_id: str, context: Context) -> Attachment:
        raise NotImplementedError

    async def delete_attachment(self, attachment_id: str, context: Context) -> None:
        raise NotImplementedError


def _page(rows: list[Row], limit: int, after: str | None, order: str) -> Page[Row]:
    rows = rows[::-1] if order == "desc" else rows
    start = next((n for n, row in enumerate(rows, 1) if row.id == after), 0)
    data = rows[start : start + limit]
    has_more = start + limit < len(rows)
    return Page(data=data, has_more=has_more, after=data[-1].id if has_more else None)


class FloorServer(ChatKitServer[Context]):
    def __init__(self, store: Store[Context], agent: Agent[Any]) -> None:
        super().__init__(store)
        self._agent = agent

    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: Context
    ) -> AsyncIterator[ThreadStreamEvent]:
        items = await self.store.load_thread_items(thread.id, None, 20, "desc", context)
        turn: AgentContext[Context] = AgentContext(
            thread=thread, store=self.store, request_context=context
        )
        result = Runner.run_streamed(
            self._agent,
            await simple_to_agent_input(items.data[::-1]),
            context=turn,
            run_config=RunConfig(tracing_disabled=True),
        )
        async for event in stream_agent_response(turn, result):
            yield event


def create_app() -> FastAPI:
    agent = Agent[Any](
        name="Assistant",
        instructions="You are helpful.",
        model=DemoModel(Settings().demo_delay_seconds),
        tools=[function for tool in TOOLS for function in tool.functions],
    )
    server = FloorServer(MemoryStore(), agent)
    app = FastAPI()

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/chatkit")
    async def chatkit(request: Request) -> Response:
        result = await server.process(await request.body(), {})
        if isinstance(result, StreamingResult):
            return StreamingResponse(result, media_type="text/event-stream")
        return Response(result.json, media_type="application/json")

    return app
