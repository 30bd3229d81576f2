"""`POST /attachments`: stores one file that ChatKit uploads as an attachment of the user."""

from collections import Counter
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from typing import Annotated

from chatkit.types import Attachment
from fastapi import APIRouter, Depends, Request, Response
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser

from engine.attachments.files import FileTooLarge
from engine.attachments.service import FileAttachments, TooManyFiles
from engine.auth.base import User
from engine.auth.current import SignedIn
from engine.context.request_context import RequestContext
from engine.http.errors import InvalidRequest
from engine.http.home import home_url
from engine.http.request_body import timed_chunks
from engine.text.locales import Translatable

UPLOAD_PATH = "/attachments"

# The size of a form without its file: boundaries, names, and fields that are not read.
FORM_BYTES = 64_000
UPLOAD_SECONDS = 600.0
# Limits for parallel uploads, each of which uses a temporary file.
UPLOADS_PER_USER = 10
UPLOADS_PER_PROCESS = 100
RETRY_SECONDS = 5.0

_active_uploads: Counter[str] = Counter()


def upload_routes(attachments: FileAttachments, signed_in: SignedIn) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.post(UPLOAD_PATH)
    async def upload(request: Request, user: Annotated[User, Depends(signed_in)]) -> Response:
        context = RequestContext(
            user_id=user.id,
            base_url=home_url(request),
            address=user.address,
            sign_in=user.sign_in,
        )
        limit = attachments.limits.max_bytes
        if _declared_size(request) > limit + FORM_BYTES:
            raise _too_large(limit)
        with _counted_upload(user.id):
            # Checked before the body is read, and again when its size is known.
            await attachments.check_room(1, context)
            attachment = await _receive(request, attachments, context)
        content = attachment.model_dump_json(exclude_none=True, context={"exclude_metadata": True})
        json = await attachments.inlined(content.encode(), context)
        return Response(json, media_type="application/json")

    return router


async def _receive(
    request: Request, attachments: FileAttachments, context: RequestContext
) -> Attachment:
    chunks = _limited_body(request, attachments.limits.max_bytes)
    parser = MultiPartParser(request.headers, chunks, max_files=1, max_fields=10)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise InvalidRequest(f"file: {error.message}.") from None
    try:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise InvalidRequest("file: there is none in this upload.")
        return await attachments.store_file(
            file.file, file.filename or "", file.content_type or "", context
        )
    finally:
        await form.close()


@contextmanager
def _counted_upload(user_id: str) -> Iterator[None]:
    """Count an upload until it ends, because it uses disk space for a temporary file.

    Raises `TooManyFiles`.
    """
    if (
        _active_uploads[user_id] >= UPLOADS_PER_USER
        or _active_uploads.total() >= UPLOADS_PER_PROCESS
    ):
        raise TooManyFiles("Too many files are being uploaded.", RETRY_SECONDS)
    _active_uploads[user_id] += 1
    try:
        yield
    finally:
        _active_uploads[user_id] -= 1
        if not _active_uploads[user_id]:
            del _active_uploads[user_id]


def _declared_size(request: Request) -> int:
    declared = request.headers.get("content-length", "")
    return int(declared) if declared.isdecimal() else 0


async def _limited_body(request: Request, limit: int) -> AsyncGenerator[bytes, None]:
    """The body, which is read until it exceeds the limit, whatever size was declared."""
    size = 0
    async for chunk in timed_chunks(request, UPLOAD_SECONDS):
        size += len(chunk)
        if size > limit + FORM_BYTES:
            raise _too_large(limit)
        yield chunk


def _too_large(limit: int) -> FileTooLarge:
    return FileTooLarge(
        Translatable(
            "A file has at most {count} byte.", "A file has at most {count} bytes.", count=limit
        )
    )
