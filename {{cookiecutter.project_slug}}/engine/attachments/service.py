"""The parts of attachments that all stores share: limits, ownership, links, and model input."""

import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, BinaryIO

from anyio import CancelScope, to_thread
from chatkit.store import AttachmentStore
from chatkit.types import (
    Attachment,
    AttachmentCreateParams,
    FileAttachment,
    GeneratedImageItem,
    ImageAttachment,
    ThreadItem,
    UserMessageItem,
)
from fastapi import APIRouter
from pydantic import AnyUrl, ValidationError

from engine.attachments.files import (
    INCOMING,
    FileGone,
    FilesLeft,
    FileStore,
    FileTooLarge,
    key_of,
    owner_part,
)
from engine.attachments.inline import InlinePictures, is_private
from engine.attachments.links import Link, Links
from engine.attachments.reading import read_within
from engine.attachments.rows import AttachmentRows, Use
from engine.attachments.settings import AttachmentSettings
from engine.attachments.sweeper import Sweeper
from engine.attachments.types import EXTENSIONS, IMAGES, READ_BY_MODELS, type_of
from engine.auth.base import Authenticator
from engine.context.ids import new_id
from engine.context.request_context import RequestContext
from engine.context.shared_limits import SharedLimits
from engine.database.database import Database
from engine.http.errors import AppError, InvalidRequest, LimitReached, NotFound
from engine.options import NO_ATTACHMENTS, PageOptions, Reader
from engine.settings.settings import Settings
from engine.text.locales import Translatable
from engine.text.unicode import storable

logger = logging.getLogger(__name__)

MAX_NAME_LENGTH = 200
# The limit for one user's uploaded files that are not sent yet.
MAX_UNSENT = 100
UNSENT_SECONDS = 3_600


class UnsupportedFile(AppError):
    status = 415
    code = "unsupported_file"


class TooManyFiles(LimitReached):
    code = "too_many_files"


class FileAttachments(AttachmentStore[RequestContext]):
    """Each kind of store derives from this, with its `FileStore` and its `upload_strategy`."""

    name: str
    shared_limits: SharedLimits | None = None
    upload_strategy: Mapping[str, str]

    def __init__(
        self,
        settings: Settings,
        database: Database,
        more_types: Sequence[str],
        files: FileStore,
    ) -> None:
        self.limits = AttachmentSettings()
        self.types = self.limits.types or (*READ_BY_MODELS, *more_types)
        self.files = files
        self.links = Links(settings, self.limits.link_seconds)
        self._rows = AttachmentRows(database)
        self.sweeper = Sweeper(self._rows, files, self.limits.orphan_hours)

    @property
    def chatkit_store(self) -> AttachmentStore[RequestContext]:
        return self

    def routes(self, authenticator: Authenticator) -> Sequence[APIRouter]:
        raise NotImplementedError

    def upload_origins(self) -> tuple[str, ...]:
        return ()

    def start(self) -> None:
        self.sweeper.start()

    async def close(self) -> None:
        await self.sweeper.close()
        await self.files.close()

    def page_options(self) -> PageOptions:
        return {
            "api": {"uploadStrategy": dict(self.upload_strategy)},
            "composer": {
                "attachments": {
                    "enabled": True,
                    "maxSize": self.limits.max_bytes,
                    "maxCount": self.limits.max_count,
                    "accept": {mime: list(EXTENSIONS[mime]) for mime in self.types},
                }
            },
        }

    def generate_attachment_id(self, mime_type: str, context: RequestContext) -> str:
        return new_id("attachment")

    async def create_attachment(
        self, input: AttachmentCreateParams, context: RequestContext
    ) -> Attachment:
        """Only for two-phase uploads."""
        raise InvalidRequest(NO_ATTACHMENTS)

    async def delete_attachment(self, attachment_id: str, context: RequestContext) -> None:
        """Delete an attachment that has not been sent."""
        [attachment] = await self._find([attachment_id], context)
        await self._check_unsent(attachment, context)
        await self.discard([attachment_id], context)

    async def admit(self, attachment_ids: Sequence[str], context: RequestContext) -> None:
        if len(attachment_ids) > self.limits.max_count:
            raise InvalidRequest(
                Translatable(
                    "A message has at most {count} file.",
                    "A message has at most {count} files.",
                    count=self.limits.max_count,
                )
            )
        if len(set(attachment_ids)) < len(attachment_ids):
            raise InvalidRequest("A message carries a file once.")
        for attachment in await self._find(attachment_ids, context):
            await self._check_unsent(attachment, context)
            await self.check_upload(attachment, context)

    async def check_upload(self, attachment: Attachment, context: RequestContext) -> None:
        """Check a file that browsers uploaded directly to the store."""

    def shown(self, attachment: Attachment, context: RequestContext) -> Attachment:
        changes: dict[str, Any] = {"upload_descriptor": None}
        if isinstance(attachment, ImageAttachment):
            changes["preview_url"] = self.link(attachment, context)
        return attachment.model_copy(update=changes)

    def shown_item(self, item: ThreadItem, context: RequestContext) -> ThreadItem:
        if isinstance(item, UserMessageItem) and item.attachments:
            item.attachments = [self.shown(attachment, context) for attachment in item.attachments]
        if isinstance(item, GeneratedImageItem) and item.image is not None:
            # Without a store, the URL is a `data:` URL that contains the picture.
            with suppress(NotFound):
                token = self.links.renewed(item.image.url.rpartition("/")[2], context)
                item.image.url = self._address(token, context)
        return item

    def each_inlined(
        self, chunks: AsyncGenerator[bytes, None], context: RequestContext
    ) -> AsyncGenerator[bytes, None]:
        pictures = self._pictures(context)
        return chunks if pictures is None else pictures.each(chunks)

    async def inlined(self, json: bytes, context: RequestContext) -> bytes:
        pictures = self._pictures(context)
        return json if pictures is None else await pictures.within(json)

    def _pictures(self, context: RequestContext) -> InlinePictures | None:
        """None if ChatKit's frame can load the links."""
        base, limit = self._base(context), self.limits.inline_bytes
        if not limit or not is_private(base):
            return None
        return InlinePictures(base, self.links, self._read_link, limit)

    async def _read_link(self, link: Link) -> bytes:
        return await self.files.read(link.key)

    async def of_user(self, user_id: str) -> list[str]:
        return await self._rows.ids(user_id)

    async def contents(self, user_id: str) -> AsyncIterator[tuple[Attachment, bytes]]:
        for id_ in await self._rows.ids(user_id):
            # One that this version cannot read does not keep the others back.
            with suppress(FileGone, ValidationError):
                for attachment in await self._rows.find(user_id, [id_]):
                    yield attachment, await self.files.read(key_of(user_id, id_))

    async def erase(self, user_id: str) -> bool:
        folders = [owner_part(user_id), f"{INCOMING}/{owner_part(user_id)}"]
        try:
            for folder in folders:
                await self.files.delete(await self.files.within(folder))
        except AppError as error:
            reasons = error.reasons if isinstance(error, FilesLeft) else error.message
            logger.warning("files of an erased user are left: %s", reasons)
            return False
        return True

    async def discard(self, attachment_ids: Sequence[str], context: RequestContext) -> bool:
        keys = [key_of(context.user_id, attachment_id) for attachment_id in attachment_ids]
        if not keys:
            return True
        try:
            await self.files.delete([*keys, *(f"{INCOMING}/{key}" for key in keys)])
        except FilesLeft as error:
            logger.warning("%d files are left to the sweeper: %s", len(error.left), error.reasons)
            return False
        except AppError:
            logger.warning("%d files are left to the sweeper", len(keys))
            return False
        return True

    def reader(
        self, newest_first: Sequence[ThreadItem], room: int, context: RequestContext
    ) -> Reader:
        return read_within(self.files, newest_first, room, context.user_id)

    def link(self, attachment: Attachment, context: RequestContext) -> AnyUrl:
        key = key_of(context.user_id, attachment.id)
        if not is_checked(attachment):
            key = f"{INCOMING}/{key}"
        token = self.links.token(key, attachment.name, attachment.mime_type, context)
        return AnyUrl(self._address(token, context))

    def _address(self, token: str, context: RequestContext) -> str:
        return f"{self._base(context)}/attachments/{token}"

    def _base(self, context: RequestContext) -> str:
        return (self.limits.public_url or context.base_url).rstrip("/")

    async def in_thread(self, thread_id: str, context: RequestContext) -> list[Attachment]:
        """The files that the user attached in this thread, oldest first."""
        files = await self._rows.in_thread(context.user_id, thread_id)
        return [file for file in files if not is_generated(file)]

    async def read(self, attachment: Attachment, context: RequestContext) -> bytes:
        """Raises `FileGone`."""
        return await self.files.read(key_of(context.user_id, attachment.id))

    async def store_file(
        self, content: BinaryIO, name: str, declared: str, context: RequestContext
    ) -> Attachment:
        """Check a file by its content, store its row and then the file."""
        size = content.seek(0, 2)
        self._check_size(size)
        mime_type = await self.check_type(content, declared)
        await self.count(size, context)
        file = AttachmentCreateParams(name=name, mime_type=mime_type, size=size)
        attachment = self.describe(file, context, checked=True)
        async with self.reserved(attachment, context):
            content.seek(0)
            await self.files.put(key_of(context.user_id, attachment.id), content, mime_type)
        return attachment

    async def store_generated(
        self, content: BinaryIO, name: str, thread_id: str, context: RequestContext
    ) -> ImageAttachment:
        """Store a picture that the assistant generated in this thread."""
        size = content.seek(0, 2)
        self._check_size(size)
        mime_type = await to_thread.run_sync(type_of, content, "")
        file = AttachmentCreateParams(name=name, mime_type=mime_type or "", size=size)
        picture = self.describe(file, context, checked=True)
        if not isinstance(picture, ImageAttachment):
            raise UnsupportedFile("This is no picture.")
        picture = picture.model_copy(
            update={"thread_id": thread_id, "metadata": {**(picture.metadata or {}), "made": True}}
        )
        async with self.reserved(picture, context):
            content.seek(0)
            await self.files.put(key_of(context.user_id, picture.id), content, picture.mime_type)
        return picture

    @asynccontextmanager
    async def reserved(
        self, attachment: Attachment, context: RequestContext
    ) -> AsyncIterator[None]:
        """Add the row before the file is stored, and remove it if storing fails.

        So parallel uploads cannot exceed the user's limit.
        """
        size = int((attachment.metadata or {}).get("bytes", 0))
        await self._rows.reserve(
            context.user_id, attachment, lambda use: self._check_use(use, size)
        )
        try:
            yield
        except BaseException:
            with CancelScope(shield=True):
                await self._rows.release(context.user_id, attachment.id)
            raise

    async def check_room(self, size: int, context: RequestContext) -> None:
        """Raise if a file of this size would exceed a limit now; `reserved` checks it again."""
        self._check_size(size)
        self._check_use(await self._rows.use(context.user_id), size)

    def _check_size(self, size: int) -> None:
        if size > self.limits.max_bytes:
            raise FileTooLarge(
                Translatable(
                    "A file has at most {count} byte.",
                    "A file has at most {count} bytes.",
                    count=self.limits.max_bytes,
                )
            )
        if size < 1:
            raise InvalidRequest("The file is empty.")

    def _check_use(self, use: Use, size: int) -> None:
        if use.bytes + size > self.limits.user_bytes:
            raise FileTooLarge("Your files take up all the room that you have. Delete some chats.")
        if use.unsent >= MAX_UNSENT:
            raise TooManyFiles("Too many files wait to be sent.", UNSENT_SECONDS)

    async def count(self, size: int, context: RequestContext) -> None:
        """Count a new file for all users of this address. Raises `LimitReached`."""
        if self.shared_limits is not None and context.address is not None:
            await self.shared_limits.take_file(context.address, size)

    async def check_type(self, content: BinaryIO, declared: str) -> str:
        """The MIME type of this content. Raises `UnsupportedFile` if it is not accepted."""
        mime_type = await to_thread.run_sync(type_of, content, plain_type(declared))
        if mime_type is None or mime_type not in self.types:
            raise self.unsupported()
        return mime_type

    def unsupported(self) -> UnsupportedFile:
        endings = ", ".join(ending for mime in self.types for ending in EXTENSIONS[mime])
        return UnsupportedFile(
            Translatable(
                "Files of this kind are not taken. Possible are: {endings}", endings=endings
            )
        )

    def describe(
        self, file: AttachmentCreateParams, context: RequestContext, *, checked: bool
    ) -> Attachment:
        """A new attachment of the user; nothing is stored yet."""
        common: dict[str, Any] = {
            "id": self.generate_attachment_id(file.mime_type, context),
            "name": _clean(file.name),
            "mime_type": file.mime_type,
            "metadata": {"bytes": file.size, "checked": checked},
        }
        if file.mime_type not in IMAGES:
            return FileAttachment(**common)
        image = ImageAttachment(**common, preview_url=AnyUrl("attachment:new"))
        return image.model_copy(update={"preview_url": self.link(image, context)})

    async def _check_unsent(self, attachment: Attachment, context: RequestContext) -> None:
        """An attachment gets its thread before its message is stored, which may fail."""
        if attachment.thread_id is None:
            return
        if is_generated(attachment) or await self._rows.is_in_message(context.user_id, attachment):
            raise InvalidRequest("This file belongs to a message that was sent.")

    async def _find(self, ids: Sequence[str], context: RequestContext) -> list[Attachment]:
        found = await self._rows.find(context.user_id, ids)
        if len(found) < len(set(ids)):
            raise NotFound("There is no such attachment.")
        return found


def is_checked(attachment: Attachment) -> bool:
    return bool((attachment.metadata or {}).get("checked"))


def is_generated(attachment: Attachment) -> bool:
    """True for a picture that the assistant generated."""
    return bool((attachment.metadata or {}).get("made"))


def plain_type(declared: str) -> str:
    """`text/plain` from `Text/Plain; charset=utf-8`."""
    return declared.split(";")[0].strip().lower()


def _clean(name: str) -> str:
    """The file's name without its path, in one line of at most `MAX_NAME_LENGTH`."""
    last = storable(name).replace("\\", "/").rsplit("/", 1)[-1]
    text = " ".join("".join(c if c.isprintable() else " " for c in last).split())
    if len(text) <= MAX_NAME_LENGTH:
        return text or "file"
    stem, dot, ending = text.rpartition(".")
    if not dot or len(ending) > 10:
        return text[:MAX_NAME_LENGTH]
    return f"{stem[: MAX_NAME_LENGTH - len(ending) - 1]}.{ending}"
