"""One turn, read from the top."""

import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, cast

from agents import Agent, RunConfig, Runner, RunResultStreaming
from chatkit.actions import Action
from chatkit.agents import ResponseStreamConverter, stream_agent_response
from chatkit.server import NonStreamingResult, StreamingResult
from chatkit.types import (
    AssistantMessageContentPartAdded,
    AssistantMessageItem,
    AudioInput,
    ChatKitReq,
    ClientToolCallItem,
    DurationSummary,
    FeedbackKind,
    SyncCustomActionResponse,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemReplacedEvent,
    ThreadItemUpdatedEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    ThreadUpdatedEvent,
    TranscriptionResult,
    UserMessageItem,
    WidgetItem,
    WorkflowItem,
    is_streaming_req,
)

from engine.context.clock import seconds_since
from engine.context.ids import new_id
from engine.context.request_context import RequestContext
from engine.context.run import Run, has_text, is_answer
from engine.database.database import DatabaseUnreachable
from engine.http.errors import NotFound
from engine.http.event_stream import sse
from engine.models.boundary.failures import EmptyAnswer
from engine.models.boundary.model import BoundaryModel
from engine.models.boundary.outputs import ItemIds, Visible
from engine.models.titles import TitleWriter
from engine.models.turn_models import TurnModels
from engine.runs.recovery import interruption
from engine.runs.workflow import close_workflow, finished
from engine.sdk_internals import OpenChatKitServer
from engine.store.store import AGENT
from engine.text.locales import translate
from engine.text.title_text import one_line, shortened
from engine.text.tokens import tokens_of
from engine.tools.limits import ToolCallLimit
from engine.tools.tool import missing_tool_message
from engine.tools.toolset import Choice
from engine.tools.turn_context import TurnContext
from engine.turn.actions import Actions
from engine.turn.failures import friendly
from engine.turn.guardrails import with_prompt_guardrails
from engine.turn.handoffs import agent_to_begin_with
from engine.turn.history import History, Remembered, answered
from engine.turn.page_context import with_page_context
from engine.turn.parts import Parts
from engine.turn.progress import Progress, open_workflow
from engine.turn.remarks import remark_items
from engine.turn.sources import with_citations, with_sources_section
from engine.turn.text_deltas import Words
from engine.turn.turn_store import TurnStore

logger = logging.getLogger(__name__)

# A refusal is no title, and the title's writer knows when it has read enough of thoughts.
FOR_TITLES = Visible(refusals=False, thoughts=True)
WITHHELD = "The model's content filter withheld this answer. Please put it differently."


class ChatServer(OpenChatKitServer[RequestContext]):
    def __init__(self, parts: Parts, actions: Actions) -> None:
        super().__init__(parts.store, parts.attachments.chatkit_store if parts.attachments else None)
        self.parts = parts
        self._settings = parts.settings
        self._actions = actions
        self._sql_store = parts.store
        self._models = parts.models
        self._attachments = parts.attachments
        self._history = History(
            parts.store,
            self._settings.history_tokens,
            self._settings.message_chars,
            parts.attachments,
        )

    async def answer(
        self, request: ChatKitReq, context: RequestContext
    ) -> StreamingResult | NonStreamingResult:
        """`process`, for a request that is parsed already; the SDK's own parses it again."""
        if is_streaming_req(request):
            events = self.stream(request, context)
            if self._attachments is not None:
                events = self._attachments.each_inlined(events, context)
            return StreamingResult(events)
        seen = replace(context, visible_only=True)
        json = await self.reply(request, seen)
        if self._attachments is not None:
            json = await self._attachments.inlined(json, context)
        return NonStreamingResult(json)

    async def respond(
        self,
        thread: ThreadMetadata,
        input_user_message: UserMessageItem | None,
        context: RequestContext,
    ) -> AsyncIterator[ThreadStreamEvent]:
        run = _run_of(context)
        run.begin()
        self._describe(thread, input_user_message, context)
        turn = self._turn(thread, input_user_message, context)
        if input_user_message is not None:
            opened = open_workflow(turn)
            run.drafts[opened.item.id] = opened.item.model_copy(deep=True)
            yield opened
        title = self._title(thread, input_user_message)
        try:
            async for event in self._answer(turn, run, input_user_message):
                yield event
                if title is not None and (text := title.take()):
                    for update in await self._retitle(thread, text, context):
                        yield update
        finally:
            turn.release()
            if title is not None:
                await title.stop()
                run.add_tokens(*title.tokens)

    async def action(
        self,
        thread: ThreadMetadata,
        action: Action[str, Any],
        sender: WidgetItem | None,
        context: RequestContext,
    ) -> AsyncIterator[ThreadStreamEvent]:
        try:
            item = await self._actions.perform(action, _sender(sender), context)
        except Exception as error:
            logger.exception("an action failed")
            raise friendly(error) from error
        yield ThreadItemReplacedEvent(item=item)
        _run_of(context).complete = True

    async def sync_action(
        self,
        thread: ThreadMetadata,
        action: Action[str, Any],
        sender: WidgetItem | None,
        context: RequestContext,
    ) -> SyncCustomActionResponse:
        item = await self._actions.perform(action, _sender(sender), context)
        return SyncCustomActionResponse(updated_item=item)

    async def add_feedback(
        self,
        thread_id: str,
        item_ids: list[str],
        feedback: FeedbackKind,
        context: RequestContext,
    ) -> None:
        await self._sql_store.save_feedback(thread_id, item_ids, feedback, context)

    async def transcribe(
        self, audio_input: AudioInput, context: RequestContext
    ) -> TranscriptionResult:
        assert self.parts.dictation is not None, "admission refuses what nobody listens to"
        return await self.parts.dictation.transcribe(audio_input)

    async def handle_stream_cancelled(
        self,
        thread: ThreadMetadata,
        pending_items: list[ThreadItem],
        context: RequestContext,
    ) -> None:
        """Keep what was said and shown until the user stopped it, or the server had to."""
        run = _run_of(context)
        # (The SDK knows nothing of words, nor of a workflow that an earlier turn began.)
        pending = dict(run.drafts)
        for item in pending_items:
            pending.setdefault(item.id, item)
        pending_items = list(pending.values())
        await run.finish_drafts()
        shown = [item for item in pending_items if isinstance(item, WidgetItem)]
        if run.retry and not run.answered and not shown and not any(map(has_text, pending_items)):
            # The new answer had not begun: the old one stays.
            return
        # (The thread was deleted meanwhile, or another worker has closed the run and left a notice.)
        with suppress(NotFound):
            for item in pending_items:
                if isinstance(item, WorkflowItem):
                    await self.store.add_thread_item(thread.id, close_workflow(item).item, context)
            for widget in shown:
                await self.store.add_thread_item(thread.id, widget, context)
            if run.status == "stopped":
                await super().handle_stream_cancelled(thread, pending_items, context)
                return
            for item in [
                *filter(has_text, pending_items),
                *interruption(thread.id, context.locale),
            ]:
                await self.store.add_thread_item(thread.id, item, context)

    def _turn(
        self, thread: ThreadMetadata, message: UserMessageItem | None, context: RequestContext
    ) -> TurnContext:
        parts = self.parts
        visible = Visible(withheld=translate(WITHHELD, context.locale))
        turn = TurnContext(
            thread=thread,
            store=TurnStore(parts.database, parts.attachments, message),
            request_context=context,
            database=parts.database,
            services=parts.services,
            attachments=parts.attachments,
            toolset=parts.toolset,
            models=TurnModels(parts.models, ItemIds(new_id), visible),
        )
        turn.choose(self._choice(message))
        return turn

    def _describe(
        self, thread: ThreadMetadata, message: UserMessageItem | None, context: RequestContext
    ) -> None:
        """Change the thread in place: the SDK saves it after the first event."""
        if not thread.title and message is not None:
            thread.title = title_from(message)
        if context.session_id and "session_id" not in thread.metadata:
            thread.metadata = {**thread.metadata, "session_id": context.session_id}
        thread.allowed_image_domains = list(self._settings.allowed_image_domains)

    def _title(self, thread: ThreadMetadata, message: UserMessageItem | None) -> TitleWriter | None:
        """Who writes a title, where the thread's is still what was cut from this message."""
        name = self._settings.title_model
        if name is None or message is None or thread.title != title_from(message):
            return None
        model = BoundaryModel(
            self._models.get(name), self._models.dialect(name), ItemIds(new_id), FOR_TITLES
        )
        return TitleWriter(model, _words_of(message), tracing=self._settings.tracing)

    async def _retitle(
        self, thread: ThreadMetadata, title: str, context: RequestContext
    ) -> list[ThreadStreamEvent]:
        """(`thread` stays as it is: the SDK would save all of it, over what the user changed.)"""
        try:
            changed = await self._sql_store.retitle(thread, title, context)
        except DatabaseUnreachable:
            return []
        return [ThreadUpdatedEvent(thread=self.response_of(t)) for t in changed]

    async def _answer(
        self, turn: TurnContext, run: Run, message: UserMessageItem | None
    ) -> AsyncIterator[ThreadStreamEvent]:
        history = await self._history.load(turn.thread.id, turn.request_context)
        if message is None:
            _go_on(turn, run, history)
            # It keeps the model of the message that it answers; its tool has been called.
            turn.choose(Choice(self._choice(history.message).model))
        for item in _left_open(turn, run, history):
            yield ThreadItemReplacedEvent(item=item)
        agent = self.parts.build_agent(turn)
        asked = with_page_context(history.input, turn.request_context.page)
        result = Runner.run_streamed(
            with_prompt_guardrails(agent_to_begin_with(agent, turn.thread.metadata.get(AGENT))),
            asked,
            context=turn,
            max_turns=self._settings.max_turns,
            hooks=ToolCallLimit(self._settings.tool_calls_per_turn),
            run_config=RunConfig(
                tracing_disabled=not self._settings.tracing,
                trace_include_sensitive_data=False,
                tool_not_found_behavior="return_error_to_model",
                tool_error_formatter=missing_tool_message,
            ),
        )
        words = Words(run, lambda event: run.send(sse(self.serialize(event))))
        progress = Progress(turn, result, words)
        converter = _converter(turn)
        opened = turn.workflow_item
        agent_name: str | None = None
        try:
            async for event in self._events(turn, progress, converter):
                await self._remember(run, event)
                if _is_for_the_page(event) and turn.workflow_item is not None:
                    # It stays open until the page has answered, and nothing may follow the call.
                    await self.store.add_thread_item(
                        turn.thread.id, turn.workflow_item, turn.request_context
                    )
                yield event
                if progress.agent_name not in (None, agent_name):
                    agent_name = progress.agent_name
                    await self._sql_store.save_agent(
                        turn.thread.id, agent_name, turn.request_context
                    )
            if turn.models.remarks.is_empty and not run.answered:
                raise EmptyAnswer
            for item in remark_items(
                turn.models.remarks, turn.thread.id, turn.request_context.locale
            ):
                if turn.client_tool_call is None:  # nothing may follow its call
                    yield ThreadItemDoneEvent(item=item)
            run.complete = True
        except Exception as error:
            logger.exception("a run failed")
            said = run.unfinished()
            await run.finish_drafts()
            if (waiting := turn.generated_image_item) is not None:
                yield ThreadItemRemovedEvent(item_id=waiting.id)
            if run.retry and not run.answered and not said:
                # The new answer had not begun: the old one stays, and the new workflow goes.
                if opened is not None:
                    yield ThreadItemRemovedEvent(item_id=opened.id)
            else:
                for event in _salvaged(turn, said, progress):
                    yield event
                if run.left or run.disconnected:
                    for item in interruption(turn.thread.id, turn.request_context.locale):
                        yield ThreadItemDoneEvent(item=item)
            raise friendly(error, turn.request_context.locale) from error
        finally:
            progress.stop()
            _count(run, result, [_instructions(agent), *asked])

    async def _events(
        self,
        turn: TurnContext,
        progress: Progress,
        converter: ResponseStreamConverter,
    ) -> AsyncIterator[ThreadStreamEvent]:
        events = _said(turn, progress, converter)
        events = with_citations(events, turn.cited)
        if self._settings.sources_section:
            events = with_sources_section(events, turn.request_context.locale)
        async for event in events:
            # At once: a stop must not lose them, and nothing may follow a client tool's call.
            for call in progress.take_finished_calls():
                yield ThreadItemDoneEvent(item=call)
            match event:
                case ThreadItemDoneEvent(item=ClientToolCallItem() as asked):
                    # The SDK takes the id of whichever call the model made last.
                    asked.call_id = turn.asked_call_id or asked.call_id
                case ThreadItemDoneEvent(item=WorkflowItem() as closed):
                    # It does so for a widget, too, that is shown while its tool is at work.
                    closed.workflow.tasks = [finished(task) for task in closed.workflow.tasks]
                    if isinstance(closed.workflow.summary, DurationSummary):
                        # The SDK's own is negative when the clock was set back meanwhile.
                        duration = seconds_since(closed.created_at)
                        closed.workflow.summary = DurationSummary(duration=duration)
            yield event
        for call in progress.take_finished_calls():
            yield ThreadItemDoneEvent(item=call)
        if (waiting := turn.generated_image_item) is not None:
            yield ThreadItemRemovedEvent(item_id=waiting.id)
        if turn.workflow_item is not None and turn.client_tool_call is None:
            yield close_workflow(turn.workflow_item)

    def _choice(self, message: UserMessageItem | None) -> Choice:
        """The user's model and tool. What has left the offer since falls back to the default."""
        options = message.inference_options if message else None
        offered = self._settings.offered_models
        model = options.model if options and options.model in offered else None
        model = model or offered[0]
        wanted = options.tool_choice.id if options and options.tool_choice else None
        tool = next((t for t in self.parts.toolset.usable(model) if t.id == wanted), None)
        return Choice(model, tool)

    async def _remember(self, run: Run, event: ThreadStreamEvent) -> None:
        """Keep the unfinished items, as the SDK does for a cancelled stream."""
        match event:
            case ThreadItemAddedEvent(
                item=AssistantMessageItem() | WidgetItem() | WorkflowItem() as item
            ):
                run.drafts[item.id] = item.model_copy(deep=True)
            case ThreadItemUpdatedEvent(item_id=item_id, update=AssistantMessageContentPartAdded()):
                # The SDK keeps this very object and appends to it; so must not we.
                self.update_pending(run.drafts, event.model_copy(deep=True))
                run.touch(item_id)
            case ThreadItemUpdatedEvent(item_id=item_id):
                self.update_pending(run.drafts, event)
                run.touch(item_id)
            case ThreadItemDoneEvent(item=item):
                await run.finish_draft(item.id)
                run.answered = run.answered or is_answer(item)
            case ThreadItemRemovedEvent(item_id=item_id):
                # What a guardrail took back must not be saved as the text so far.
                await run.finish_draft(item_id)


def _is_for_the_page(event: ThreadStreamEvent) -> bool:
    return isinstance(event, ThreadItemDoneEvent) and isinstance(event.item, ClientToolCallItem)


def title_from(message: UserMessageItem) -> str | None:
    return shortened(_words_of(message)) or None


def _words_of(message: UserMessageItem) -> str:
    text = "".join(part.text for part in message.content)
    return text if one_line(text) else ", ".join(file.name for file in message.attachments)


def _sender(widget: WidgetItem | None) -> WidgetItem:
    assert widget is not None, "admission refuses an action that comes from nowhere"
    return widget


def _run_of(context: RequestContext) -> Run:
    assert context.run is not None, "admission gives one to every request that streams"
    return context.run


def _go_on(turn: TurnContext, run: Run, history: Remembered) -> None:
    """Take up the workflow of the turn that had to wait for the page."""
    if history.open_workflows:
        turn.workflow_item = history.open_workflows[-1]
        run.drafts[turn.workflow_item.id] = turn.workflow_item.model_copy(deep=True)


def _left_open(turn: TurnContext, run: Run, history: Remembered) -> list[ThreadItem]:
    """What waits for a page that never answered, closed; nothing of an answer to be replaced."""
    if run.retry is not None:
        return []
    current = turn.workflow_item.id if turn.workflow_item else None
    workflows = [item for item in history.open_workflows if item.id != current]
    closed: list[ThreadItem] = [close_workflow(item).item for item in workflows]
    return [*closed, *map(answered, history.unanswered_calls)]


async def _said(
    turn: TurnContext, progress: Progress, converter: ResponseStreamConverter
) -> AsyncIterator[ThreadStreamEvent]:
    """The SDK's translation of the run, read one event at a time."""
    delivery = turn.delivery
    async for event in stream_agent_response(
        turn, cast("RunResultStreaming", progress), converter=converter
    ):
        delivery.arrived(event)
        yield event


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


def _converter(turn: TurnContext) -> ResponseStreamConverter:
    """Turns hosted tools' results into items of the conversation."""
    made = (tool.converter(turn) for tool in turn.usable_tools if tool.converter)
    return next(made, ResponseStreamConverter())


def _instructions(agent: Agent[TurnContext]) -> str:
    return agent.instructions if isinstance(agent.instructions, str) else ""


def _count(run: Run, result: RunResultStreaming, asked: list[Any]) -> None:
    """Tokens as the API counted them; what it did not count is estimated, such as a call cut off."""
    usage = result.context_wrapper.usage
    run.add_tokens(usage.input_tokens, usage.output_tokens)
    if not run.complete:
        run.add_tokens(tokens_of(asked), run.cut_tokens)
    elif not usage.total_tokens:
        answered = [item.to_input_item() for item in result.new_items]
        run.add_tokens(tokens_of(asked), tokens_of(answered))
