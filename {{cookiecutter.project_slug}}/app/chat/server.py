"""One turn, read from the top."""

import logging
from collections.abc import AsyncIterator
from typing import cast

from agents import RunConfig, Runner, RunResultStreaming
from chatkit.agents import stream_agent_response
from chatkit.server import ChatKitServer, NonStreamingResult, StreamingResult
from chatkit.types import (
    AssistantMessageContentPartAdded,
    AssistantMessageItem,
    ChatKitReq,
    FeedbackKind,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
    WorkflowItem,
    is_streaming_req,
)

from app.agent.build import Choice, build_agent, usable_tools
from app.agent.context import TurnContext
from app.agent.limits import ToolCallLimit
from app.agent.models import ModelSource
from app.agent.tools.base import tell_missing_tool
from app.chat.context import RequestContext
from app.chat.events import mint_ids
from app.chat.failures import friendly
from app.chat.history import History
from app.chat.progress import Progress, close_workflow, open_workflow
from app.chat.sources import with_sources_section
from app.chat.store import SqlStore
from app.config import Settings
from app.db import Database

logger = logging.getLogger(__name__)

LONGEST_TITLE = 50
CUT_TITLE = 47


class ChatServer(ChatKitServer[RequestContext]):
    def __init__(
        self, settings: Settings, database: Database, store: SqlStore, models: ModelSource
    ) -> None:
        super().__init__(store)
        self._settings = settings
        self._database = database
        self._sql_store = store
        self._models = models
        self._history = History(store, settings.history_tokens)

    async def answer(
        self, request: ChatKitReq, context: RequestContext
    ) -> StreamingResult | NonStreamingResult:
        """`process`, for a request that is parsed already; the SDK's own parses it again."""
        if is_streaming_req(request):
            return StreamingResult(self._process_streaming(request, context))
        return NonStreamingResult(await self._process_non_streaming(request, context))

    async def respond(
        self,
        thread: ThreadMetadata,
        input_user_message: UserMessageItem | None,
        context: RequestContext,
    ) -> AsyncIterator[ThreadStreamEvent]:
        self._describe(thread, input_user_message, context)
        turn = TurnContext(
            thread=thread,
            store=self.store,
            request_context=context,
            database=self._database,
        )
        if input_user_message is not None:
            yield open_workflow(turn)
        try:
            async for event in self._run(turn, input_user_message):
                yield event
        finally:
            turn.release()

    async def add_feedback(
        self,
        thread_id: str,
        item_ids: list[str],
        feedback: FeedbackKind,
        context: RequestContext,
    ) -> None:
        await self._sql_store.save_feedback(thread_id, item_ids, feedback, context)

    async def handle_stream_cancelled(
        self,
        thread: ThreadMetadata,
        pending_items: list[ThreadItem],
        context: RequestContext,
    ) -> None:
        """Keep what was said and shown until the user stopped it."""
        if context.retry and not any(_has_text(item) for item in pending_items):
            # The new answer had not begun: the old one stays.
            return
        for item in pending_items:
            if isinstance(item, WorkflowItem):
                await self.store.add_thread_item(thread.id, close_workflow(item).item, context)
        await super().handle_stream_cancelled(thread, pending_items, context)

    def _describe(
        self, thread: ThreadMetadata, message: UserMessageItem | None, context: RequestContext
    ) -> None:
        """Change the thread in place: the SDK saves it after the first event."""
        if not thread.title and message is not None:
            thread.title = title_from(message)
        if context.session_id and "session_id" not in thread.metadata:
            thread.metadata = {**thread.metadata, "session_id": context.session_id}
        thread.allowed_image_domains = list(self._settings.allowed_image_domains)

    async def _run(
        self, turn: TurnContext, message: UserMessageItem | None
    ) -> AsyncIterator[ThreadStreamEvent]:
        choice = self._choice(message)
        result = Runner.run_streamed(
            build_agent(self._settings, self._models.get(choice.model), choice),
            await self._history.load(turn.thread.id, turn.request_context),
            context=turn,
            max_turns=self._settings.max_turns,
            hooks=ToolCallLimit(self._settings.tool_calls_per_turn),
            run_config=RunConfig(
                tracing_disabled=not self._settings.tracing,
                trace_include_sensitive_data=False,
                tool_not_found_behavior="return_error_to_model",
                tool_error_formatter=tell_missing_tool,
            ),
        )
        progress = Progress(turn, result)
        opened = turn.workflow_item
        answered = False
        pending: dict[str, ThreadItem] = {}
        try:
            async for event in self._events(turn, progress):
                self._remember(pending, event)
                answered = answered or _is_answer(event)
                yield event
        except Exception as error:
            logger.exception("a run failed")
            said = [item for item in pending.values() if _has_text(item)]
            if turn.request_context.retry and not answered and not said:
                # The new answer had not begun: the old one stays, and the new workflow goes.
                if opened is not None:
                    yield ThreadItemRemovedEvent(item_id=opened.id)
            else:
                for event in _salvaged(turn, said, progress):
                    yield event
            raise friendly(error) from error
        finally:
            progress.stop()

    async def _events(
        self, turn: TurnContext, progress: Progress
    ) -> AsyncIterator[ThreadStreamEvent]:
        events = mint_ids(_said(turn, progress), turn.generate_id)
        if self._settings.sources_section:
            events = with_sources_section(events)
        async for event in events:
            # At once: a stop must not lose them, and nothing may follow a client tool's call.
            for call in progress.take_finished_calls():
                yield ThreadItemDoneEvent(item=call)
            yield event
        for call in progress.take_finished_calls():
            yield ThreadItemDoneEvent(item=call)
        if turn.workflow_item is not None and turn.client_tool_call is None:
            yield close_workflow(turn.workflow_item)

    def _choice(self, message: UserMessageItem | None) -> Choice:
        """The user's model and tool. What has left the offer since falls back to the default."""
        options = message.inference_options if message else None
        offered = self._settings.offered_models
        model = options.model if options and options.model in offered else None
        wanted = options.tool_choice.id if options and options.tool_choice else None
        tool = next((t for t in usable_tools(self._settings) if t.id == wanted), None)
        return Choice(model or offered[0], tool)

    def _remember(self, pending: dict[str, ThreadItem], event: ThreadStreamEvent) -> None:
        """Keep the unfinished answers, as the SDK does for a cancelled stream."""
        match event:
            case ThreadItemAddedEvent(item=AssistantMessageItem() as item):
                pending[item.id] = item.model_copy(deep=True)
            case ThreadItemUpdatedEvent(update=AssistantMessageContentPartAdded()):
                # The SDK keeps this very object and appends to it; so must not we.
                self._update_pending_items(pending, event.model_copy(deep=True))
            case ThreadItemUpdatedEvent():
                self._update_pending_items(pending, event)
            case ThreadItemDoneEvent(item=item):
                pending.pop(item.id, None)
            case ThreadItemRemovedEvent(item_id=item_id):
                # What a guardrail took back must not be saved as the text so far.
                pending.pop(item_id, None)


def title_from(message: UserMessageItem) -> str | None:
    """The first message, cut to 47 characters and an ellipsis when it is longer than 50."""
    text = " ".join("".join(part.text for part in message.content).split())
    return f"{text[:CUT_TITLE]}..." if len(text) > LONGEST_TITLE else text or None


async def _said(turn: TurnContext, progress: Progress) -> AsyncIterator[ThreadStreamEvent]:
    """The SDK's translation of the run, read one event at a time."""
    async for event in stream_agent_response(turn, cast("RunResultStreaming", progress)):
        turn.arrived(event)
        yield event


def _is_answer(event: ThreadStreamEvent) -> bool:
    return isinstance(event, ThreadItemDoneEvent) and isinstance(event.item, AssistantMessageItem)


def _salvaged(
    turn: TurnContext, said: list[ThreadItem], progress: Progress
) -> list[ThreadStreamEvent]:
    """What a failed run leaves behind: its tool calls, its workflow and the text so far."""
    events: list[ThreadStreamEvent] = []
    if turn.workflow_item is not None:
        events.append(close_workflow(turn.workflow_item))
    events += [ThreadItemDoneEvent(item=call) for call in progress.take_finished_calls()]
    events += [ThreadItemDoneEvent(item=item) for item in said]
    return events


def _has_text(item: ThreadItem) -> bool:
    return isinstance(item, AssistantMessageItem) and any(
        part.text.strip() for part in item.content
    )
