"""A new thread's title: the beginning of its message, then what a model writes beside the answer."""

from chatkit.types import ThreadMetadata, UserMessageItem

from engine.context.ids import new_id
from engine.context.request_context import RequestContext
from engine.database.database import DatabaseUnreachable
from engine.models.boundary.model import BoundaryModel
from engine.models.boundary.outputs import ItemIds, Visible
from engine.models.titles import TitleWriter
from engine.text.title_text import one_line, shortened
from engine.turn.parts import Parts

# A refusal is no title, and the title's writer knows when it has read enough of thoughts.
FOR_TITLES = Visible(refusals=False, thoughts=True)


class ThreadTitle:
    """The title that a model writes, if `thread` still has the one that was cut from `message`."""

    def __init__(
        self, parts: Parts, thread: ThreadMetadata, message: UserMessageItem | None
    ) -> None:
        self._store = parts.store
        self._thread = thread
        self._model = parts.settings.title_model
        self._writer = _writer(parts, thread, message)

    async def take_changed(self, context: RequestContext) -> list[ThreadMetadata]:
        """The thread under its new title, once: as soon as that is written.

        The thread of the turn stays as it is: the SDK would save all of it, over what the user
        changed.
        """
        title = self._writer.take() if self._writer else None
        if title is None:
            return []
        try:
            return await self._store.retitle(self._thread, title, context)
        except DatabaseUnreachable:
            return []

    async def stop(self) -> tuple[str, int, int, int] | None:
        """The model that was asked, and the tokens: asked, answered, and taken from a cache."""
        if self._writer is None or self._model is None:
            return None
        await self._writer.stop()
        return self._model, *self._writer.tokens


def title_from(message: UserMessageItem) -> str | None:
    return shortened(_text_of(message)) or None


def _text_of(message: UserMessageItem) -> str:
    text = "".join(part.text for part in message.content)
    return text if one_line(text) else ", ".join(file.name for file in message.attachments)


def _writer(
    parts: Parts, thread: ThreadMetadata, message: UserMessageItem | None
) -> TitleWriter | None:
    name = parts.settings.title_model
    if name is None or message is None or thread.title != title_from(message):
        return None
    dialect = parts.models.dialect(name)
    model = BoundaryModel(parts.models.get(name), dialect, ItemIds(new_id), FOR_TITLES)
    return TitleWriter(model, _text_of(message), tracing=parts.settings.tracing)
