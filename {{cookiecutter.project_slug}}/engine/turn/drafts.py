"""Keeps the unfinished items of a run, for its checkpoints and for when it is interrupted."""

from collections.abc import Callable

from chatkit.types import (
    AssistantMessageContentPartAdded,
    AssistantMessageItem,
    ThreadItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
    WidgetItem,
    WorkflowItem,
)

from engine.context.run import Run, is_answer

Update = Callable[[dict[str, ThreadItem], ThreadItemUpdatedEvent], None]


class Drafts:
    """Follows the events of a run. `update` applies one of them to its item."""

    def __init__(self, run: Run, update: Update) -> None:
        self.run = run
        self._update = update

    def add(self, item: ThreadItem) -> None:
        self.run.drafts[item.id] = item.model_copy(deep=True)

    async def follow(self, event: ThreadStreamEvent) -> None:
        match event:
            case ThreadItemAddedEvent(
                item=AssistantMessageItem() | WidgetItem() | WorkflowItem() as item
            ):
                self.add(item)
            case ThreadItemUpdatedEvent(item_id=item_id, update=AssistantMessageContentPartAdded()):
                # The SDK keeps this very object and appends to it; the draft needs its own.
                self._update(self.run.drafts, event.model_copy(deep=True))
                self.run.touch(item_id)
            case ThreadItemUpdatedEvent(item_id=item_id):
                self._update(self.run.drafts, event)
                self.run.touch(item_id)
            case ThreadItemDoneEvent(item=item):
                await self.run.finish_draft(item.id)
                self.run.answered = self.run.answered or is_answer(item)
            case ThreadItemRemovedEvent(item_id=item_id):
                # What a guardrail removed must not be saved as the text so far.
                await self.run.finish_draft(item_id)
