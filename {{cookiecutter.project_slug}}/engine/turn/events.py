"""The agent's run as events of the thread."""

from collections.abc import AsyncIterator
from typing import cast

from agents import RunResultStreaming
from chatkit.agents import ResponseStreamConverter, stream_agent_response
from chatkit.types import (
    ClientToolCallItem,
    DurationSummary,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadStreamEvent,
    WorkflowItem,
)

from engine.context.clock import seconds_since
from engine.runs.workflow import close_workflow, finished
from engine.tools.turn_context import TurnContext
from engine.turn.progress import Progress
from engine.turn.sources import with_citations, with_sources_section


async def answer_events(
    turn: TurnContext, progress: Progress, *, sources_section: bool
) -> AsyncIterator[ThreadStreamEvent]:
    """The SDK's translation of the run, corrected and completed."""
    events = with_citations(_translated(turn, progress), turn.cited)
    if sources_section:
        events = with_sources_section(events, turn.request_context.locale)
    async for event in events:
        # At once: a stop must not lose them, and nothing may follow a client tool's call.
        for call in progress.take_finished_calls():
            yield ThreadItemDoneEvent(item=call)
        _correct(event, turn)
        yield event
    for call in progress.take_finished_calls():
        yield ThreadItemDoneEvent(item=call)
    if (waiting := turn.generated_image_item) is not None:
        yield ThreadItemRemovedEvent(item_id=waiting.id)
    if turn.workflow_item is not None and turn.client_tool_call is None:
        yield close_workflow(turn.workflow_item)


def is_for_the_page(event: ThreadStreamEvent) -> bool:
    """True for the call of a client tool."""
    return isinstance(event, ThreadItemDoneEvent) and isinstance(event.item, ClientToolCallItem)


async def _translated(turn: TurnContext, progress: Progress) -> AsyncIterator[ThreadStreamEvent]:
    order = turn.order
    result = cast("RunResultStreaming", progress)
    async for event in stream_agent_response(turn, result, converter=_converter(turn)):
        order.arrived(event)
        yield event


def _converter(turn: TurnContext) -> ResponseStreamConverter:
    """Turns hosted tools' results into items of the thread."""
    made = (tool.converter(turn) for tool in turn.usable_tools if tool.converter)
    return next(made, ResponseStreamConverter())


def _correct(event: ThreadStreamEvent, turn: TurnContext) -> None:
    match event:
        case ThreadItemDoneEvent(item=ClientToolCallItem() as asked):
            # The SDK takes the id of whichever call the model made last.
            asked.call_id = turn.asked_call_id or asked.call_id
        case ThreadItemDoneEvent(item=WorkflowItem() as closed):
            # The SDK closes it for a widget, too, that is shown while its tool is at work.
            closed.workflow.tasks = [finished(task) for task in closed.workflow.tasks]
            if isinstance(closed.workflow.summary, DurationSummary):
                # The SDK's own is negative when the clock was set back meanwhile.
                closed.workflow.summary = DurationSummary(duration=seconds_since(closed.created_at))
