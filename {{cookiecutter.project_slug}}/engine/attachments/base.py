"""What the application asks of its attachments, and the kind that takes none."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, ClassVar

from chatkit.store import AttachmentStore
from chatkit.types import (
    Attachment,
    AttachmentCreateParams,
    ThreadItem,
)
from fastapi import APIRouter
from openai.types.responses import ResponseInputContentParam, ResponseInputTextParam

from engine.auth.base import Authenticator
from engine.context.ids import new_id
from engine.context.request_context import RequestContext
from engine.context.shared_limits import SharedLimits
from engine.http.errors import InvalidRequest
from engine.text.locales import Translations

REFUSAL = "This application takes no attachments."

# Gives what the model gets of an attachment.
Reader = Callable[[Attachment], Awaitable[ResponseInputContentParam]]


class Attachments(AttachmentStore[RequestContext]):
    """Takes none. Kinds that do derive from it."""

    name = "none"
    translations: ClassVar[Translations] = {}

    # Those of the auth style, which is built later.
    shared_limits: SharedLimits | None = None

    def __init__(self, *_given: object) -> None:
        """Those that take some are given the settings, the database and more types."""

    @classmethod
    def note(cls) -> str:
        """What `python -m app doctor` says of pictures; nothing where there are none."""
        return ""

    def routes(self, authenticator: Authenticator) -> Sequence[APIRouter]:
        """What browsers ask for beside the protocol."""
        return ()

    def start(self) -> None:
        """Begin what goes on beside the requests."""

    async def close(self) -> None:
        pass

    def page_options(self) -> dict[str, dict[str, Any]]:
        """What ChatKit's options need to be told, by section."""
        return {}

    def upload_origins(self) -> tuple[str, ...]:
        """Where else the page sends files, as a Content-Security-Policy names it."""
        return ()

    def generate_attachment_id(self, mime_type: str, context: RequestContext) -> str:
        return new_id("attachment")

    async def create_attachment(
        self, input: AttachmentCreateParams, context: RequestContext
    ) -> Attachment:
        raise InvalidRequest(REFUSAL)

    async def delete_attachment(self, attachment_id: str, context: RequestContext) -> None:
        raise InvalidRequest(REFUSAL)

    async def admit(self, attachment_ids: Sequence[str], context: RequestContext) -> None:
        """Raise an `AppError` unless a new message of the user may carry these."""
        if attachment_ids:
            raise InvalidRequest(REFUSAL)

    def shown(self, attachment: Attachment, context: RequestContext) -> Attachment:
        """The attachment as its owner may see it just now."""
        return attachment

    def shown_item(self, item: ThreadItem, context: RequestContext) -> ThreadItem:
        """The item, with its files as their owner may see them just now."""
        return item

    def each_inlined(
        self, chunks: AsyncGenerator[bytes, None], context: RequestContext
    ) -> AsyncGenerator[bytes, None]:
        """Pieces of JSON for the widget, with pictures inside where it could not load them."""
        return chunks

    async def inlined(self, json: bytes, context: RequestContext) -> bytes:
        """The same for one."""
        return json

    async def of_user(self, user_id: str) -> list[str]:
        """The ids of all that a user has, in whichever conversation."""
        return []

    async def discard(self, attachment_ids: Sequence[str], context: RequestContext) -> bool:
        """Delete the files; their rows are gone already. False when some are left to the sweeper."""
        return True

    def reader(
        self, newest_first: Sequence[ThreadItem], room: int, context: RequestContext
    ) -> Reader:
        """How the model is shown the files of these items, in at most about `room` tokens."""
        return mention


async def mention(attachment: Attachment) -> ResponseInputContentParam:
    """The file's name in place of its content."""
    return ResponseInputTextParam(
        type="input_text", text=f"[attached: {attachment.name}, {attachment.mime_type}]"
    )
