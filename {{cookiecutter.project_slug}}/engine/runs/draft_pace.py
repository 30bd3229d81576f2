"""When the drafts of a run are written: not each time that they change.

Each write stores the whole text so far, so an answer that is written at every word's turn costs the
square of its length.
"""

from dataclasses import dataclass

from chatkit.types import AssistantMessageItem, ThreadItem, WorkflowItem

from engine.context.run import Run, has_text

# A draft is written when it has grown by this share of what is stored, or this long after the last
# time. A crash loses no more: five sixths of the text are stored, or all that was said five seconds
# before.
GROWTH = 1.2
DRAFT_SECONDS = 5.0
# How long a write may take, beside the time until the next look.
WRITE_SECONDS = 0.2


@dataclass(frozen=True)
class _Written:
    size: int
    at: float


class DraftPace:
    """Knows the stored sizes of one run's drafts, and which drafts are due."""

    def __init__(self) -> None:
        self._written: dict[str, _Written] = {}

    def due(self, run: Run, next_look: float) -> list[ThreadItem]:
        """The drafts to write now, oldest first, if the next look is at that moment.

        None while the old answer stays, because the new one has not begun.
        """
        if run.retry is not None and not run.answered and not any(run.said()):
            return []
        return [item for item in run.changed_drafts() if self._is_due(item, next_look)]

    def wrote(self, item_id: str, size: int, at: float) -> None:
        self._written[item_id] = _Written(size, at)

    def _is_due(self, item: ThreadItem, next_look: float) -> bool:
        if not (isinstance(item, WorkflowItem) or has_text(item)):
            return False
        written = self._written.get(item.id)
        if written is None or size_of(item) >= written.size * GROWTH:
            return True
        return next_look + WRITE_SECONDS >= written.at + DRAFT_SECONDS


def size_of(item: ThreadItem) -> int:
    """The length of a draft's text; of a workflow's tasks and thoughts."""
    if isinstance(item, AssistantMessageItem):
        return sum(len(part.text) for part in item.content)
    assert isinstance(item, WorkflowItem)
    return sum(1 + len(getattr(task, "content", None) or "") for task in item.workflow.tasks)
