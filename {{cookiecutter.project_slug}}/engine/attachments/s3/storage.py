"""Stores files in an S3-compatible store, to which browsers upload them directly.

The application does not see the upload, so it checks the file when its message is sent. Before
that it copies the file, so that a later upload with the same URL cannot replace the checked one.
"""

import logging
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO, TypedDict, cast

from botocore.exceptions import BotoCoreError, ClientError
from chatkit.types import Attachment, AttachmentCreateParams, AttachmentUploadDescriptor
from fastapi import APIRouter

from engine.attachments.files import (
    INCOMING,
    FileGone,
    FilesLeft,
    FilesUnavailable,
    FileTooLarge,
    key_of,
)
from engine.attachments.routes import link_routes
from engine.attachments.s3.addresses import S3Addresses, uploads_source
from engine.attachments.s3.clients import S3Clients
from engine.attachments.s3.faults import explain, reason
from engine.attachments.s3.settings import S3Settings
from engine.attachments.service import FileAttachments, is_checked, plain_type
from engine.attachments.types import PLAIN_TEXT, TEXTS
from engine.auth.base import Authenticator
from engine.context.request_context import RequestContext
from engine.database.database import Database
from engine.http.errors import InvalidRequest
from engine.options import NO_ATTACHMENTS
from engine.settings.settings import Settings
from engine.text.locales import Translatable

logger = logging.getLogger(__name__)

SPOOL_BYTES = 1_000_000
DELETE_AT_ONCE = 1_000  # S3's limit for one request
MISSING = {"404", "NoSuchKey"}
NOT_IMPLEMENTED = 501


class S3Attachments(FileAttachments):
    name = "s3"
    upload_strategy: Mapping[str, str] = {"type": "two_phase"}

    def __init__(self, settings: Settings, database: Database, more_types: Sequence[str]) -> None:
        self._s3 = S3Settings()
        self._bucket = S3Files(self._s3)
        super().__init__(settings, database, more_types, self._bucket)

    def routes(self, authenticator: Authenticator) -> Sequence[APIRouter]:
        return (link_routes(self, authenticator),)

    def start(self) -> None:
        if self._s3.bucket:
            super().start()
        else:
            logger.warning("S3_BUCKET is not set, so files cannot be attached: set it in .env")

    def page_options(self) -> dict[str, dict[str, Any]]:
        return super().page_options() if self._s3.bucket else {}

    async def erase(self, user_id: str) -> bool:
        """Without a bucket nothing was stored, and there is nothing to ask."""
        return not self._s3.bucket or await super().erase(user_id)

    def upload_origins(self) -> tuple[str, ...]:
        return (uploads_source(self._s3),) if self._s3.bucket else ()

    async def create_attachment(
        self, input: AttachmentCreateParams, context: RequestContext
    ) -> Attachment:
        """Return a presigned URL for an upload of exactly this size and type."""
        if not self._s3.bucket:
            raise InvalidRequest(NO_ATTACHMENTS)
        await self.check_room(input.size, context)
        mime_type = plain_type(input.mime_type)
        if mime_type not in self.types:
            raise self.unsupported()
        await self.count(input.size, context)
        attachment = self.describe(
            input.model_copy(update={"mime_type": mime_type}), context, checked=False
        )
        async with self.reserved(attachment, context):
            upload = await self._bucket.upload_url(
                _incoming(attachment, context), mime_type, input.size, self._s3.upload_seconds
            )
        return attachment.model_copy(update={"upload_descriptor": upload})

    async def check_upload(self, attachment: Attachment, context: RequestContext) -> None:
        if is_checked(attachment):
            return
        incoming, key = _incoming(attachment, context), key_of(context.user_id, attachment.id)
        try:
            await self._bucket.move(incoming, key)
            size = await self._check(attachment, key)
        except FileGone:
            raise InvalidRequest("attachments: this file has not been uploaded.") from None
        except Exception:
            await self.discard([attachment.id], context)
            raise
        metadata = {"bytes": size, "checked": True}
        checked = attachment.model_copy(update={"metadata": metadata, "upload_descriptor": None})
        await self._rows.save(context.user_id, checked)

    async def _check(self, attachment: Attachment, key: str) -> int:
        """The size in bytes. Raises if the file is not of the announced type."""
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as content:
            await self._bucket.read_into(cast("BinaryIO", content), key, self.limits.max_bytes)
            found = await self.check_type(cast("BinaryIO", content), attachment.mime_type)
            if not _same_kind(found, attachment.mime_type):
                raise self.unsupported()
            return content.seek(0, 2)


class S3Files:
    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._clients = S3Clients(settings)
        self._addresses = S3Addresses(settings, self._clients)

    async def put(self, key: str, content: BinaryIO, mime_type: str) -> None:
        with self._reporting_errors(key):
            client = await self._clients.own()
            await client.put_object(**self._place(key), Body=content, ContentType=mime_type)

    async def read(self, key: str) -> bytes:
        with self._reporting_errors(key):
            client = await self._clients.own()
            found = await client.get_object(**self._place(key))
            async with found["Body"] as body:
                return await body.read()

    async def read_into(self, target: BinaryIO, key: str, limit: int) -> None:
        """Raises `FileGone`, or `FileTooLarge` as soon as the limit is exceeded."""
        size = 0
        with self._reporting_errors(key):
            client = await self._clients.own()
            found = await client.get_object(**self._place(key))
            async with found["Body"] as body:
                async for chunk in body.iter_chunks():
                    size += len(chunk)
                    if size > limit:
                        raise FileTooLarge(
                            Translatable(
                                "A file has at most {count} byte.",
                                "A file has at most {count} bytes.",
                                count=limit,
                            )
                        )
                    target.write(chunk)

    async def move(self, source: str, target: str) -> None:
        with self._reporting_errors(source):
            client = await self._clients.own()
            place = self._place(source)
            await client.copy_object(**self._place(target), CopySource=place)  # type: ignore[arg-type]
            await client.delete_object(**place)

    async def delete(self, keys: Sequence[str]) -> None:
        left: dict[str, str] = {}
        for start in range(0, len(keys), DELETE_AT_ONCE):
            with self._reporting_errors("several"):
                left |= await self._delete(keys[start : start + DELETE_AT_ONCE])
        if left:
            raise FilesLeft(left)

    async def _delete(self, keys: Sequence[str]) -> dict[str, str]:
        """The keys that the store did not delete, with the reasons.

        The store answers 200 even if it deleted nothing. Objects that its response does not mention
        are deleted one by one, and so are all objects if it does not support DeleteObjects.
        """
        client = await self._clients.own()
        objects = {self._settings.object_key(key): key for key in keys}
        deleted, codes = set(), {}
        try:
            answer = await client.delete_objects(
                Bucket=self._settings.bucket,
                Delete={"Objects": [{"Key": name} for name in objects]},
            )
        except ClientError as error:
            _raise_unless_refused(error)
        else:
            deleted = {found["Key"] for found in answer.get("Deleted", [])}
            codes = {error["Key"]: error.get("Code", "") for error in answer.get("Errors", [])}
        for name in objects.keys() - deleted - codes.keys():
            try:
                await client.delete_object(Bucket=self._settings.bucket, Key=name)
            except ClientError as error:
                _raise_unless_refused(error)
                codes[name] = _code(error)
        return {
            objects[name]: explain({"Code": code}, self._settings, "s3:DeleteObject")
            for name, code in codes.items()
            if code not in MISSING
        }

    async def locate(self, key: str, mime_type: str, disposition: str, seconds: int) -> str:
        with self._reporting_errors(key):
            return await self._addresses.download(key, mime_type, disposition, seconds)

    async def upload_url(
        self, key: str, mime_type: str, size: int, seconds: int
    ) -> AttachmentUploadDescriptor:
        with self._reporting_errors(key):
            return await self._addresses.upload(key, mime_type, size, seconds)

    async def older_than(self, moment: datetime) -> AsyncIterator[list[str]]:
        async for page in self._pages(""):
            yield [key for key, written in page if written < moment]

    async def within(self, folder: str) -> list[str]:
        return [key async for page in self._pages(f"{folder}/") for key, _written in page]

    async def _pages(self, prefix: str) -> AsyncIterator[list[tuple[str, datetime]]]:
        """The keys that begin so, and when each was last written."""
        root = self._settings.object_key("")
        with self._reporting_errors("all"):
            client = await self._clients.own()
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self._settings.bucket, Prefix=f"{root}{prefix}"
            )
            async for page in pages:
                yield [
                    (found["Key"].removeprefix(root), found["LastModified"])
                    for found in page.get("Contents", [])
                ]

    async def close(self) -> None:
        await self._clients.close()

    def _place(self, key: str) -> "Place":
        return {"Bucket": self._settings.bucket, "Key": self._settings.object_key(key)}

    @contextmanager
    def _reporting_errors(self, key: str) -> Iterator[None]:
        """Log the store's reason for the operator; users get a general message."""
        try:
            yield
        except ClientError as error:
            if _code(error) in MISSING:
                raise FileGone(key) from None
            logger.error("the S3 store refused a request: %s", reason(error, self._settings))
            raise FilesUnavailable from error
        except (BotoCoreError, OSError, TimeoutError) as error:
            logger.error("the S3 store failed: %s", reason(error, self._settings))
            raise FilesUnavailable from error


class Place(TypedDict):
    Bucket: str
    Key: str


def _same_kind(one: str, other: str) -> bool:
    """True for equal types, and for two text types, which look the same in their bytes."""
    return one == other or {one, other} <= {*TEXTS, PLAIN_TEXT}


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")


def _raise_unless_refused(error: ClientError) -> None:
    """After a server error, do not send a request for each of a thousand files."""
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if status >= 500 and status != NOT_IMPLEMENTED:
        raise error


def _incoming(attachment: Attachment, context: RequestContext) -> str:
    return f"{INCOMING}/{key_of(context.user_id, attachment.id)}"
