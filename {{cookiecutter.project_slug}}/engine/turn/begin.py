"""The beginning of a turn: its thread and its context."""

from chatkit.types import ThreadMetadata, UserMessageItem

from engine.context.ids import new_id
from engine.context.request_context import RequestContext
from engine.models.boundary.outputs import ItemIds, Visible
from engine.models.turn_models import TurnModels
from engine.settings.settings import Settings
from engine.speed.turn_store import TurnStore
from engine.text.locales import translate
from engine.tools.turn_context import TurnContext
from engine.turn.parts import Parts
from engine.turn.thread_title import title_from

WITHHELD = "The model's content filter withheld this answer. Please put it differently."


def describe(
    thread: ThreadMetadata,
    message: UserMessageItem | None,
    context: RequestContext,
    settings: Settings,
) -> None:
    """Change the thread in place: the SDK saves it after the first event."""
    if not thread.title and message is not None:
        thread.title = title_from(message)
    if context.session_id and "session_id" not in thread.metadata:
        thread.metadata = {**thread.metadata, "session_id": context.session_id}
    thread.allowed_image_domains = list(settings.allowed_image_domains)


def begin_turn(
    parts: Parts,
    thread: ThreadMetadata,
    message: UserMessageItem | None,
    context: RequestContext,
) -> TurnContext:
    visible = Visible(withheld=translate(WITHHELD, context.locale))
    turn = TurnContext(
        thread=thread,
        store=TurnStore(parts.database, parts.attachments, message),
        request_context=context,
        database=parts.database,
        services=parts.services,
        attachments=parts.attachments,
        toolset=parts.toolset,
        models=TurnModels(parts.models, ItemIds(new_id), visible, thread.id),
    )
    turn.choose(parts.toolset.choice(message.inference_options if message else None))
    return turn
