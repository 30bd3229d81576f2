"""Shows the agent's steps as the tasks of a workflow.

The order is fixed: a workflow opens with "Analyzing request"; each tool call adds a task and
completes it; the workflow closes with its duration just before the answer begins.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

from agents import (
    HandoffCallItem,
    HandoffOutputItem,
    ReasoningItem,
    RunItemStreamEvent,
    RunResultStreaming,
    StreamEvent,
    ToolCallOutputItem,
)
from agents.items import ToolCallItem
from chatkit.types import (
    CustomTask,
    FileTask,
    HiddenContextItem,
    SearchTask,
    Task,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    URLSource,
    Workflow,
    WorkflowItem,
)
from openai.types.responses import ResponseFunctionToolCall, ResponseFunctionWebSearch
from openai.types.responses.response_function_web_search import ActionSearch

from engine.context.clock import now
from engine.models.boundary.calls import object_arguments
from engine.speed.text_deltas import TextDeltas
from engine.text.locales import Translatable, translate
from engine.tools.tool import TOOL_FAILED
from engine.tools.turn_context import TurnContext
from engine.turn.history import TOOL_CALL
from engine.turn.thought_tasks import ThoughtTasks

ANALYZING = "Analyzing request"
MAX_STORED_RESULT = 20_000


class Progress:
    """Follows one run. It stands in for the run's result: the same events, in the same order."""

    def __init__(self, turn: TurnContext, result: RunResultStreaming, deltas: TextDeltas) -> None:
        self._turn = turn
        self._locale = turn.request_context.locale
        self._result = result
        self._deltas = deltas
        self._tasks: dict[str, int] = {}
        self._opened_id = turn.current_workflow_id
        self._workflow_id: str | None = None
        self._thoughts = ThoughtTasks(self._add, self._update)
        self._reasoning: dict[str, Any] | None = None
        self._thoughts_of_calls: dict[str, dict[str, Any]] = {}
        self._agent_name: str | None = None
        self._calls: dict[str, ResponseFunctionToolCall] = {}
        self._unanswered: set[str] = set()
        self._finished: list[HiddenContextItem] = []
        self._stopped = False

    async def stream_events(self) -> AsyncIterator[StreamEvent]:
        order = self._turn.order
        async for event in self._result.stream_events():
            is_thought = await self._follow(event)
            # The task's event has to be out before the event that comes after it.
            await order.flush()
            if not is_thought and not self._deltas.take(event):
                yield event
        if self._stopped:
            # The SDK's merge left a task behind that waits for the next event. Cancelled, it ends
            # quietly; at the end of the iteration, the log would call it an error.
            raise asyncio.CancelledError

    def stop(self) -> None:
        """End the run: closing the stream does not stop the model."""
        self._stopped = True
        self._result.cancel()

    def take_finished_calls(self) -> list[HiddenContextItem]:
        """Calls and their results since the last take, as hidden items for the next turn."""
        finished, self._finished = self._finished, []
        return finished

    @property
    def agent_name(self) -> str | None:
        """The agent that the last hand-off of this run went to."""
        return self._agent_name

    async def _follow(self, event: StreamEvent) -> bool:
        """True for an event that is told already, and the SDK need not know."""
        match event:
            case RunItemStreamEvent(item=ReasoningItem() as thought):
                self._reasoning = _plain_reasoning(thought.raw_item)
            case RunItemStreamEvent(item=HandoffCallItem(raw_item=call)):
                await self._function_called(call, translate("Handing over", self._locale))
            case RunItemStreamEvent(item=HandoffOutputItem() as handoff):
                await self._handed_over(handoff)
            case RunItemStreamEvent(item=ToolCallItem(raw_item=ResponseFunctionToolCall() as call)):
                await self._function_called(call)
            case RunItemStreamEvent(item=ToolCallOutputItem() as output):
                await self._function_answered(output)
            case RunItemStreamEvent():
                pass
            case _ if event.type == "raw_response_event":
                return await self._follow_raw(event.data)
        return False

    async def _follow_raw(self, data: Any) -> bool:
        if data.type == "response.output_text.delta":
            return False
        if await self._thoughts.follow(data):
            return True
        if data.type == "response.output_item.added":
            if data.item.type == "web_search_call":
                await self._search_started(data.item)
            elif data.item.type == "message":
                await self._complete_all()
            elif data.item.type == "image_generation_call":
                # Like an answer, a picture comes below the workflow.
                await self._complete_all()
                await self._turn.end_workflow()
        elif data.type == "response.output_item.done":
            if data.item.type == "web_search_call":
                await self._search_finished(data.item)
            elif data.item.type == "image_generation_call" and not data.item.result:
                await self.take_placeholder_back()
        elif data.type == "response.completed":
            self._reasoning = None
        return False

    async def take_placeholder_back(self) -> None:
        """Remove the place of a picture that does not come."""
        if (waiting := self._turn.generated_image_item) is not None:
            self._turn.generated_image_item = None
            await self._turn.stream(ThreadItemRemovedEvent(item_id=waiting.id))

    async def _function_called(
        self, call: ResponseFunctionToolCall, title: str | None = None
    ) -> None:
        if call.call_id in self._calls:
            return
        self._calls[call.call_id] = call
        if self._reasoning is not None:
            self._thoughts_of_calls[call.call_id] = self._reasoning
        self._unanswered.add(call.call_id)
        described, icon = self._describe(call.name)
        task = CustomTask(title=title or described, icon=icon, status_indicator="loading")
        await self._add(call.call_id, task)

    async def _function_answered(self, output: ToolCallOutputItem) -> None:
        call = self._calls.get(output.call_id or "")
        if call is None:
            return
        self._unanswered.discard(call.call_id)
        if call.call_id != self._turn.asked_call_id:
            await self._finish(call, output)
        if not self._unanswered:
            await self._show_widgets()

    async def _handed_over(self, handoff: HandoffOutputItem) -> None:
        self._agent_name = handoff.target_agent.name
        output = cast("Mapping[str, Any]", handoff.raw_item)
        call = self._calls.get(str(output.get("call_id")))
        if call is None:
            return
        self._unanswered.discard(call.call_id)
        title = translate(
            Translatable("Handed over to {agent}", agent=self._agent_name), self._locale
        )
        task = CustomTask(title=title, icon="agent", status_indicator="complete")
        await self._update(call.call_id, task)
        self._finished.append(self._hidden(call, str(output.get("output", ""))))

    async def _finish(self, call: ResponseFunctionToolCall, output: ToolCallOutputItem) -> None:
        text = _result(output)
        title, icon = self._describe(call.name)
        failed = text.startswith(TOOL_FAILED)
        task: Task = CustomTask(
            title=title,
            icon="info" if failed else icon,
            content="This did not work." if failed else None,
            status_indicator="complete",
        )
        if found := self._turn.take_sources():
            task = FileTask(title=title, sources=found, status_indicator="complete")
        await self._update(call.call_id, task)
        self._finished.append(self._hidden(call, text[:MAX_STORED_RESULT]))

    async def _show_widgets(self) -> None:
        """The SDK closes the workflow before a widget, so no task of it may be under way."""
        for item in self._turn.take_shown():
            await self._complete_all()
            await self._turn.stream(ThreadItemDoneEvent(item=item))

    def _hidden(self, call: ResponseFunctionToolCall, result: str) -> HiddenContextItem:
        # Item ids belong to the response they came in; the call id is what pairs the two.
        items: list[dict[str, Any]] = [
            {
                "type": "function_call",
                "call_id": call.call_id,
                "name": call.name,
                "arguments": object_arguments(call.arguments),
            },
            {"type": "function_call_output", "call_id": call.call_id, "output": result},
        ]
        if (thought := self._thoughts_of_calls.get(call.call_id)) is not None:
            items.insert(0, thought)
        return HiddenContextItem(
            id=self._turn.generate_id("tool_call"),
            thread_id=self._turn.thread.id,
            created_at=now(),
            content={"kind": TOOL_CALL, "items": items},
        )

    async def _search_started(self, call: ResponseFunctionWebSearch) -> None:
        title = translate("Searching the web", self._locale)
        await self._add(call.id, SearchTask(title=title, status_indicator="loading"))

    async def _search_finished(self, call: ResponseFunctionWebSearch) -> None:
        queries, sources = _searched(call)
        await self._update(
            call.id,
            SearchTask(
                title=translate("Searched the web", self._locale),
                title_query=queries[0] if queries else None,
                queries=queries,
                sources=[URLSource(title=url, url=url) for url in sources],
                status_indicator="complete",
            ),
        )

    def _describe(self, function: str) -> tuple[str, Any]:
        """The task's title and icon for one of the tools' functions."""
        tool = self._turn.toolset.owner_of(function)
        if tool is None:
            return _using(function, self._locale), "sparkle"
        if (title := tool.titles.get(function)) is not None:
            return translate(title, self._locale), tool.icon
        if tool.prefix:
            name = function.removeprefix(tool.prefix).replace("__", ": ")
        else:
            name = translate(tool.label, self._locale)
        return _using(name, self._locale), tool.icon

    async def _add(self, key: str, task: Task) -> None:
        if self._turn.workflow_item is None:
            # An answer already closed the first workflow; more work opens another.
            self._tasks.clear()
            await self._turn.start_workflow(Workflow(type="custom", tasks=[task], expanded=True))
            self._workflow_id = self._turn.current_workflow_id
            self._tasks[key] = 0
            return
        workflow = self._turn.workflow_item
        if workflow.id != self._workflow_id:
            # It was opened with the turn, or by a tool, whose tasks are its own.
            self._workflow_id = workflow.id
            self._tasks.clear()
            if workflow.id == self._opened_id and workflow.workflow.tasks:
                await self._complete(0)
        self._tasks[key] = len(workflow.workflow.tasks)
        await self._turn.add_workflow_task(task)

    async def _update(self, key: str, task: Task) -> None:
        workflow = self._turn.workflow_item
        if workflow is None or workflow.id != self._workflow_id or key not in self._tasks:
            return
        await self._turn.update_workflow_task(task, self._tasks[key])

    async def _complete_all(self) -> None:
        workflow = self._turn.workflow_item
        for index in range(len(workflow.workflow.tasks) if workflow else 0):
            await self._complete(index)

    async def _complete(self, index: int) -> None:
        workflow = self._turn.workflow_item
        assert workflow is not None
        task = workflow.workflow.tasks[index]
        if task.status_indicator != "loading":
            return
        done = task.model_copy(update={"status_indicator": "complete"})
        await self._turn.update_workflow_task(done, index)
        await self._turn.flush()


def open_workflow(turn: TurnContext) -> ThreadItemAddedEvent:
    """The first event of a turn: something moves before the history is even read."""
    title = translate(ANALYZING, turn.request_context.locale)
    turn.workflow_item = WorkflowItem(
        id=turn.generate_id("workflow"),
        thread_id=turn.thread.id,
        created_at=now(),
        workflow=Workflow(
            type="custom",
            expanded=True,
            tasks=[CustomTask(title=title, icon="search", status_indicator="loading")],
        ),
    )
    return ThreadItemAddedEvent(item=turn.workflow_item)


def _result(output: ToolCallOutputItem) -> str:
    """The result that the model got, as text."""
    result = cast("Mapping[str, Any]", output.raw_item)["output"]
    return result if isinstance(result, str) else json.dumps(result, ensure_ascii=False)


def _plain_reasoning(item: Any) -> dict[str, Any] | None:
    """Thoughts that a Chat Completions provider may want back with the calls they led to.

    (Those of the Responses API are of use within their run alone.)
    """
    source = getattr(item, "provider_data", None)
    texts = [part.text for part in item.summary or () if part.text]
    if not isinstance(source, dict) or not texts:
        return None
    summary = [{"type": "summary_text", "text": "\n".join(texts)[:MAX_STORED_RESULT]}]
    kept = {"model": source["model"]} if source.get("model") else {}
    return {"type": "reasoning", "summary": summary, "provider_data": kept}


def _using(name: str, locale: str) -> str:
    return translate(Translatable("Using {tool}", tool=name), locale)


def _searched(call: ResponseFunctionWebSearch) -> tuple[list[str], list[str]]:
    """The queries and the addresses of one call; opening a page counts as its source."""
    action = call.action
    if isinstance(action, ActionSearch):
        queries = action.queries or ([action.query] if action.query else [])
        # OpenAI's own feeds (weather, sports, finance) are sources without an address.
        return queries, [source.url for source in action.sources or [] if source.url]
    url = getattr(action, "url", None)  # a search that failed may come without its action
    return [], [url] if url else []
