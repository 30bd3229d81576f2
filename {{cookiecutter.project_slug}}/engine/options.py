"""Interfaces of optional parts, which `engine.attachments` and `engine.dictation` implement.

An application without such a part does not have its folder.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
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

NO_ATTACHMENTS = "This application takes no attachments."
NO_DICTATION = "This application takes no dictation."

# Options for ChatKit's element, by section.
PageOptions = dict[str, dict[str, Any]]
# Returns the model's input for an attachment.
Reader = Callable[[Attachment], Awaitable[ResponseInputContentParam]]


class Attachments(Protocol):
    """Files that users attach to their messages."""

    # The limits of the auth style; `Chat` sets them.
    shared_limits: SharedLimits | None

    @property
    def chatkit_store(self) -> AttachmentStore[RequestContext]:
        """Creates and deletes attachments for the ChatKit SDK."""
        ...

    def routes(self, authenticator: Authenticator) -> Sequence[APIRouter]:
        """HTTP routes besides the ChatKit protocol."""
        ...

    def start(self) -> None:
        """Start background tasks."""
        ...

    async def close(self) -> None: ...

    def page_options(self) -> PageOptions: ...

    def upload_origins(self) -> tuple[str, ...]:
        """Other origins to which the page uploads files, for the Content-Security-Policy."""
        ...

    async def admit(self, attachment_ids: Sequence[str], context: RequestContext) -> None:
        """Raise an `AppError` unless a new message of the user may contain these attachments."""
        ...

    def shown(self, attachment: Attachment, context: RequestContext) -> Attachment:
        """The attachment with a link that is valid now."""
        ...

    def shown_item(self, item: ThreadItem, context: RequestContext) -> ThreadItem:
        """The item with links to its files that are valid now."""
        ...

    def each_inlined(
        self, chunks: AsyncGenerator[bytes, None], context: RequestContext
    ) -> AsyncGenerator[bytes, None]:
        """Pieces of JSON for ChatKit, with pictures inlined if its frame cannot load the links."""
        ...

    async def inlined(self, json: bytes, context: RequestContext) -> bytes:
        """The same for a single piece of JSON."""
        ...

    async def of_user(self, user_id: str) -> list[str]:
        """The ids of all attachments of a user."""
        ...

    def contents(self, user_id: str) -> AsyncIterator[tuple[Attachment, bytes]]:
        """Each file of a user that can be read, with its content."""
        ...

    async def erase(self, user_id: str) -> bool:
        """Delete all files of a user, with rows or without. Returns False if some are left."""
        ...

    async def discard(self, attachment_ids: Sequence[str], context: RequestContext) -> bool:
        """Delete files without rows. Returns False if some are left to the sweeper."""
        ...

    def reader(
        self, newest_first: Sequence[ThreadItem], room: int, context: RequestContext
    ) -> Reader:
        """A function that returns the model's input for files of these items, in about `room` tokens."""
        ...


class Dictation(Protocol):
    """Transcribes speech to the text of a message."""

    @property
    def max_body_bytes(self) -> int:
        """The limit for a request with a dictation."""
        ...

    def page_options(self) -> PageOptions: ...

    def check(self, audio_base64: str) -> None:
        """Raise an `AppError` if the audio cannot be decoded."""
        ...

    async def transcribe(self, audio: AudioInput) -> TranscriptionResult:
        """The spoken text. Raises an `AppError`."""
        ...


# The last argument is the MIME types that tools can read.
BuildAttachments = Callable[[Settings, Database, Sequence[str]], Attachments]
BuildDictation = Callable[[ModelSource], Dictation]


async def mention(attachment: Attachment) -> ResponseInputContentParam:
    """The file's name in place of its content."""
    return ResponseInputTextParam(
        type="input_text", text=f"[attached: {attachment.name}, {attachment.mime_type}]"
    )
