"""Notices below an answer that was cut short, or whose files the model did not take."""

from collections.abc import Iterator

from chatkit.types import CustomTask, TaskItem

from engine.context.clock import now
from engine.context.ids import new_id
from engine.models.boundary.model import Remarks
from engine.text.locales import translate

_CUT = {
    "length": "The answer ends here: it reached the longest that the model may say.",
    "filter": "The answer ends here: the model's content filter stopped it.",
}
_REFUSED_FILES = "The model cannot take every attached file. It was told their names only."


def remark_items(remarks: Remarks, thread_id: str, locale: str) -> Iterator[TaskItem]:
    texts = [_CUT[remarks.cut]] if remarks.cut else []
    if remarks.refused_files:
        texts.append(_REFUSED_FILES)
    for text in texts:
        task = CustomTask(title=translate(text, locale), icon="info")
        yield TaskItem(id=new_id("task"), thread_id=thread_id, created_at=now(), task=task)
