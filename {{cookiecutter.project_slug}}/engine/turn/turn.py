"""One turn: history, agent, events."""

import logging
from collections.abc import AsyncIterator, Callable

from agents import Agent, RunConfig, Runner, RunResultStreaming, TResponseInputItem
from chatkit.types import (
    ThreadItem,
    ThreadItemDoneEvent,
    ThreadItemReplacedEvent,
    ThreadStreamEvent,
    UserMessageItem,
)
from opentelemetry import trace

from engine.models.boundary.failures import EmptyAnswer, reason_name
from engine.runs.workflow import close_workflow
from engine.speed.text_deltas import TextDeltas
from engine.store.store import AGENT
from engine.telemetry.measures import failures, is_traced
from engine.tools.limits import ToolCallLimit
from engine.tools.tool import missing_tool_message
from engine.tools.toolset import Choice
from engine.tools.turn_context import TurnContext
from engine.turn.account import Account, instructions_of
from engine.turn.drafts import Drafts
from engine.turn.events import answer_events, is_for_the_page
from engine.turn.failures import friendly
from engine.turn.guardrails import with_prompt_guardrails
from engine.turn.handoffs import agent_to_begin_with
from engine.turn.history import Remembered, answered
from engine.turn.interruption import failed_events
from engine.turn.memory import Memory
from engine.turn.page_context import with_page_context
from engine.turn.parts import Parts
from engine.turn.progress import Progress
from engine.turn.remarks import remark_items
from engine.turn.versions import instructions_hash, tools_hash

logger = logging.getLogger(__name__)

Send = Callable[[ThreadStreamEvent], None]


class Turn:
    """Answers a message, or goes on after the page has answered. `send` is for text deltas."""

    def __init__(self, parts: Parts, context: TurnContext, drafts: Drafts, send: Send) -> None:
        self._parts = parts
        self._context = context
        self._drafts = drafts
        self._run = drafts.run
        self._send = send

    async def events(self, message: UserMessageItem | None) -> AsyncIterator[ThreadStreamEvent]:
        """The events of the answer. Raises a `BaseStreamError` with a text for the user."""
        context = self._context
        history = await Memory(self._parts, context, self._run).load()
        if message is None:
            self._resume(history)
        for item in self._left_open(history):
            yield ThreadItemReplacedEvent(item=item)
        asked = with_page_context(history.input, context.request_context.page)
        agent = self._agent()
        self._run.instructions_hash = instructions_hash(agent)
        self._run.tools_hash = tools_hash(agent)
        result = self._ask(agent, asked)
        progress = Progress(context, result, TextDeltas(self._run, self._send))
        opened = context.workflow_item
        try:
            async for event in self._kept(progress):
                yield event
            self._run.complete = True
        except Exception as error:
            logger.exception("a run failed")
            _count_failure(error)
            for event in await failed_events(context, self._run, progress, opened):
                yield event
            raise friendly(error, context.request_context.locale) from error
        finally:
            progress.stop()
            account = Account(self._run, self._parts.prices)
            account.add_answer(context.models, result, [instructions_of(agent), *asked])

    def _resume(self, history: Remembered) -> None:
        """Go on with the workflow and the model of the turn that waited for the page."""
        if history.open_workflows:
            self._context.workflow_item = history.open_workflows[-1]
            self._drafts.add(self._context.workflow_item)
        # Its tool has been called.
        options = history.message.inference_options if history.message else None
        self._context.choose(Choice(self._parts.toolset.choice(options).model))

    def _left_open(self, history: Remembered) -> list[ThreadItem]:
        """Items that wait for a page that never answered, closed; none of an answer to replace."""
        if self._run.retry is not None:
            return []
        current = self._context.current_workflow_id
        workflows = [item for item in history.open_workflows if item.id != current]
        closed: list[ThreadItem] = [close_workflow(item).item for item in workflows]
        return [*closed, *map(answered, history.unanswered_calls)]

    def _agent(self) -> Agent[TurnContext]:
        """The application's agent, or the one that it handed over to in an earlier turn."""
        entry = self._parts.build_agent(self._context)
        agent = agent_to_begin_with(entry, self._context.thread.metadata.get(AGENT))
        return with_prompt_guardrails(agent)

    def _ask(
        self, agent: Agent[TurnContext], asked: list[TResponseInputItem]
    ) -> RunResultStreaming:
        settings = self._parts.settings
        return Runner.run_streamed(
            agent,
            asked,
            context=self._context,
            max_turns=settings.max_turns,
            hooks=ToolCallLimit(settings.tool_calls_per_turn),
            run_config=RunConfig(
                tracing_disabled=not (settings.tracing or is_traced()),
                trace_include_sensitive_data=False,
                tool_not_found_behavior="return_error_to_model",
                tool_error_formatter=missing_tool_message,
            ),
        )

    async def _kept(self, progress: Progress) -> AsyncIterator[ThreadStreamEvent]:
        """The events of the run, and the notices below its answer."""
        context, store = self._context, self._parts.store
        agent_name: str | None = None
        sources_section = self._parts.settings.sources_section
        async for event in answer_events(context, progress, sources_section=sources_section):
            await self._drafts.follow(event)
            if is_for_the_page(event) and (workflow := context.workflow_item) is not None:
                # It stays open until the page has answered, and nothing may follow the call.
                await store.add_thread_item(context.thread.id, workflow, context.request_context)
            yield event
            if progress.agent_name not in (None, agent_name):
                agent_name = progress.agent_name
                changed = {AGENT: agent_name}
                await store.save_metadata(context.thread.id, changed, context.request_context)
        remarks = context.models.remarks
        if remarks.is_empty and not self._run.answered:
            raise EmptyAnswer
        if context.client_tool_call is None:  # nothing may follow its call
            for item in remark_items(remarks, context.thread.id, context.request_context.locale):
                yield ThreadItemDoneEvent(item=item)


def _count_failure(error: Exception) -> None:
    reason = reason_name(error)
    failures.add(1, {"reason": reason})
    trace.get_current_span().set_attribute("chat.reason", reason)
