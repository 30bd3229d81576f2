"""The items that are kept of a turn that was stopped, interrupted or failed."""

from chatkit.types import (
    ThreadItem,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadStreamEvent,
    WidgetItem,
    WorkflowItem,
)

from engine.context.run import Run, has_text
from engine.runs.recovery import interruption
from engine.runs.workflow import close_workflow
from engine.tools.turn_context import TurnContext
from engine.turn.progress import Progress


async def take_pending(run: Run, sdk_items: list[ThreadItem]) -> list[ThreadItem]:
    """The unfinished items of a cancelled run.

    The SDK does not know of text deltas, nor of a workflow that an earlier turn began.
    """
    pending = dict(run.drafts)
    for item in sdk_items:
        pending.setdefault(item.id, item)
    await run.finish_drafts()
    return list(pending.values())


def keeps_old_answer(run: Run, pending: list[ThreadItem]) -> bool:
    """True for a retry whose new answer has not begun."""
    has_begun = run.answered or any(has_text(i) or isinstance(i, WidgetItem) for i in pending)
    return run.retry is not None and not has_begun


def shown_items(pending: list[ThreadItem]) -> list[ThreadItem]:
    """Workflows, closed, and then widgets. The SDK saves neither of a cancelled run."""
    workflows = [item for item in pending if isinstance(item, WorkflowItem)]
    widgets = [item for item in pending if isinstance(item, WidgetItem)]
    return [*(close_workflow(item).item for item in workflows), *widgets]


def interrupted_items(pending: list[ThreadItem], thread_id: str, locale: str) -> list[ThreadItem]:
    """The text so far and the notice that the server had to interrupt it."""
    return [*filter(has_text, pending), *interruption(thread_id, locale)]


async def failed_events(
    turn: TurnContext, run: Run, progress: Progress, opened: WorkflowItem | None
) -> list[ThreadStreamEvent]:
    """The events that end a failed run: its tool calls, its workflow and the text so far."""
    said = run.unfinished()
    await run.finish_drafts()
    events: list[ThreadStreamEvent] = []
    if (waiting := turn.generated_image_item) is not None:
        events.append(ThreadItemRemovedEvent(item_id=waiting.id))
    if keeps_old_answer(run, said):
        if opened is not None:
            events.append(ThreadItemRemovedEvent(item_id=opened.id))
        return events
    if turn.workflow_item is not None:
        events.append(close_workflow(turn.workflow_item))
    kept: list[ThreadItem] = [*progress.take_finished_calls(), *said]
    if run.left or run.disconnected:
        kept += interruption(turn.thread.id, turn.request_context.locale)
    return [*events, *(ThreadItemDoneEvent(item=item) for item in kept)]
