"""Text deltas, which bypass the SDK's translation for speed.

Nearly all events of a turn are text deltas. In the SDK's translation each costs a task, a dozen
generators' steps and two comparisons of the thread, though none of them changes the thread. The
order holds: the model's events are read one at a time, so when a delta arrives, everything before
it has been sent.
"""

import time
from collections.abc import Callable

from agents import RawResponsesStreamEvent, StreamEvent
from chatkit.types import (
    AssistantMessageContentPartTextDelta,
    AssistantMessageItem,
    ThreadItemUpdatedEvent,
    ThreadStreamEvent,
)

from engine.context.run import Run
from engine.telemetry.measures import first_word


class TextDeltas:
    def __init__(self, run: Run, send: Callable[[ThreadStreamEvent], None]) -> None:
        self._run = run
        self._send = send

    def take(self, event: StreamEvent) -> bool:
        """Send a text delta and add it to its draft; false for every other event."""
        if not isinstance(event, RawResponsesStreamEvent):
            return False
        data = event.data
        if data.type != "response.output_text.delta":
            return False
        draft = self._run.drafts.get(data.item_id)
        if not isinstance(draft, AssistantMessageItem) or data.content_index >= len(draft.content):
            return False
        draft.content[data.content_index].text += data.delta
        if not self._run.has_first_word:
            self._run.has_first_word = True
            first_word.record(time.perf_counter() - self._run.began, {"model": self._run.model})
        self._run.touch(draft.id)
        update = AssistantMessageContentPartTextDelta(
            content_index=data.content_index, delta=data.delta
        )
        self._send(ThreadItemUpdatedEvent(item_id=draft.id, update=update))
        return True
