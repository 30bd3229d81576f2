"""Parts that an application may be without, as the rest of the engine sees them.

`engine.attachments` and `engine.dictation` have them; an application without one has no such folder.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from typing import Any, Protocol

from chatkit.store import AttachmentStore
from chatkit.types import Attachment, AudioInput, ThreadItem, TranscriptionResult
from fastapi import APIRouter
from openai.types.responses import ResponseInputContentParam, ResponseInputTextParam

from engine.auth.base import Authenticator
from engine.context.request_context import RequestContext
from engine.context.shared_limits import SharedLimits
from engine.database.database import Database
from engine.models.source import ModelSource
from engine.settings.settings import Settings
from engine.text.locales import Translations

NO_ATTACHMENTS = "This application takes no attachments."
NO_DICTATION = "This application takes no dictation."

# Options for ChatKit's element, by section.
PageOptions = dict[str, dict[str, Any]]
# Gives what the model gets of an attachment.
Reader = Callable[[Attachment], Awaitable[ResponseInputContentParam]]


class Attachments(Protocol):
    """Files that people attach to their messages."""

    # Those of the way to sign in. `Chat` sets them.
    shared_limits: SharedLimits | None

    @property
    def translations(self) -> Translations: ...

    @property
    def store(self) -> AttachmentStore[RequestContext]:
        """Creates and deletes attachments for the ChatKit SDK."""
        ...

    def routes(self, authenticator: Authenticator) -> Sequence[APIRouter]:
        """What browsers ask for beside the protocol."""
        ...

    def start(self) -> None:
        """Begin what goes on beside the requests."""
        ...

    async def close(self) -> None: ...

    def page_options(self) -> PageOptions: ...

    def upload_origins(self) -> tuple[str, ...]:
        """Where else the page sends files, as a Content-Security-Policy names it."""
        ...

    async def admit(self, attachment_ids: Sequence[str], context: RequestContext) -> None:
        """Raise an `AppError` unless a new message of the user may carry these."""
        ...

    def shown(self, attachment: Attachment, context: RequestContext) -> Attachment:
        """The attachment as its owner may see it just now."""
        ...

    def shown_item(self, item: ThreadItem, context: RequestContext) -> ThreadItem:
        """The item, with its files as their owner may see them just now."""
        ...

    def each_inlined(
        self, chunks: AsyncGenerator[bytes, None], context: RequestContext
    ) -> AsyncGenerator[bytes, None]:
        """Pieces of JSON for the widget, with pictures inside where it could not load them."""
        ...

    async def inlined(self, json: bytes, context: RequestContext) -> bytes:
        """The same for one."""
        ...

    async def of_user(self, user_id: str) -> list[str]:
        """The ids of all that a user has, in whichever conversation."""
        ...

    async def discard(self, attachment_ids: Sequence[str], context: RequestContext) -> bool:
        """Delete the files; their rows are gone already. False when some are left to the sweeper."""
        ...

    def reader(
        self, newest_first: Sequence[ThreadItem], room: int, context: RequestContext
    ) -> Reader:
        """How the model is shown the files of these items, in at most about `room` tokens."""
        ...


class Dictation(Protocol):
    """What people say becomes the text of a message."""

    @property
    def translations(self) -> Translations: ...

    @property
    def max_body_bytes(self) -> int:
        """The longest request that carries a dictation."""
        ...

    def page_options(self) -> PageOptions: ...

    def check(self, audio_base64: str) -> None:
        """Raise an `AppError` for what cannot even be decoded."""
        ...

    async def transcribe(self, audio: AudioInput) -> TranscriptionResult:
        """The text that was spoken, or an `AppError`."""
        ...


# The MIME types are those that tools can read.
BuildAttachments = Callable[[Settings, Database, Sequence[str]], Attachments]
BuildDictation = Callable[[ModelSource], Dictation]


async def mention(attachment: Attachment) -> ResponseInputContentParam:
    """The file's name in place of its content."""
    return ResponseInputTextParam(
        type="input_text", text=f"[attached: {attachment.name}, {attachment.mime_type}]"
    )
