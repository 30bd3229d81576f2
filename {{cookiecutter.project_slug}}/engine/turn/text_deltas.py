"""The words of an answer, on a way of their own.

They are nearly all events of a turn, and on the way through the SDK's translation each costs a
task, a dozen generators' steps and two comparisons of the thread, though none of these changes
it. Order holds by itself: the model's events are pulled one at a time, so when a word arrives,
everything before it has been told.
"""

from collections.abc import Callable

from agents import RawResponsesStreamEvent, StreamEvent
from chatkit.types import (
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
)

from engine.context.run import Run


class Words:
    def __init__(self, run: Run, tell: Callable[[ThreadStreamEvent], None]) -> None:
        self._run = run
        self._tell = tell

    def take(self, event: StreamEvent) -> bool:
        """Tell a word and add it to the draft of its answer; false for all that is none."""
        if not isinstance(event, RawResponsesStreamEvent):
            return False
        data = event.data
        if data.type != "response.output_text.delta":
            return False
        draft = self._run.drafts.get(data.item_id)
        if not isinstance(draft, AssistantMessageItem) or data.content_index >= len(draft.content):
            return False
        draft.content[data.content_index].text += data.delta
        self._run.touch(draft.id)
        word = AssistantMessageContentPartTextDelta(
            content_index=data.content_index, delta=data.delta
        )
        self._tell(ThreadItemUpdatedEvent(item_id=draft.id, update=word))
        return True
