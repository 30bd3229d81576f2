"""Files in an S3-compatible store, to which browsers upload them themselves.

Such an upload goes past this application, so it is looked at when its message is sent: what it
was replaced with afterwards is nobody's, since a copy was made first.
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any, BinaryIO, cast
from urllib.parse import urlsplit

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import BotoCoreError, ClientError
from chatkit.types import Attachment, AttachmentCreateParams, AttachmentUploadDescriptor
from pydantic import AnyUrl, Field, SecretStr
from pydantic_settings import SettingsConfigDict

from app.attachments.base import REFUSAL
from app.attachments.files import INCOMING, FileGone, FilesUnavailable, FileTooLarge, key_of
from app.attachments.service import FileAttachments, is_checked, plain_type, same_kind
from app.chat.context import RequestContext
from app.config import EnvSettings, Settings
from app.db import Database
from app.errors import InvalidRequest

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

logger = logging.getLogger(__name__)

# Each time; somebody waits for it.
CONNECT_SECONDS = 5
READ_SECONDS = 10
ATTEMPTS = 3
SPOOL_BYTES = 1_000_000
DELETE_AT_ONCE = 1_000  # the most that S3 takes
MISSING = {"404", "NoSuchKey"}


class S3Settings(EnvSettings):
    model_config = SettingsConfigDict(env_prefix="S3_")

    bucket: str = ""
    prefix: str = "attachments"
    endpoint_url: str | None = None
    public_endpoint_url: str | None = None
    region: str = "us-east-1"
    access_key_id: str | None = None
    secret_access_key: SecretStr | None = None
    path_style: bool = False
    upload_seconds: int = Field(default=300, ge=1)


class S3Attachments(FileAttachments):
    name = "s3"
    upload_strategy: Mapping[str, str] = {"type": "two_phase"}

    def __init__(self, settings: Settings, database: Database, more_types: Sequence[str]) -> None:
        self._s3 = S3Settings()
        self._bucket = S3Files(self._s3)
        super().__init__(settings, database, more_types, self._bucket)

    def start(self) -> None:
        if self._s3.bucket:
            super().start()
        else:
            logger.warning("S3_BUCKET is not set: nothing can be attached")

    def page_options(self) -> dict[str, dict[str, Any]]:
        return super().page_options() if self._s3.bucket else {}

    def upload_origins(self) -> tuple[str, ...]:
        """Where a bucket is addressed: by its path, or by its name before the host."""
        settings = self._s3
        if not settings.bucket:
            return ()
        endpoint = settings.public_endpoint_url or settings.endpoint_url
        amazon = (f"https://s3.{settings.region}.amazonaws.com", "https://s3.amazonaws.com")
        urls = [urlsplit(url) for url in ((endpoint,) if endpoint else amazon)]
        by_path = tuple(f"{url.scheme}://{url.netloc}/{settings.bucket}/" for url in urls)
        by_name = tuple(f"{url.scheme}://{settings.bucket}.{url.netloc}" for url in urls)
        return by_path if settings.path_style else by_path + by_name

    async def create_attachment(
        self, input: AttachmentCreateParams, context: RequestContext
    ) -> Attachment:
        """Announce an upload: the URL that is given out takes these many bytes, and no others."""
        if not self._s3.bucket:
            raise InvalidRequest(REFUSAL)
        await self.check_room(input.size, context)
        mime_type = plain_type(input.mime_type)
        if mime_type not in self.types:
            raise self.unsupported()
        attachment = self.describe(input.name, mime_type, input.size, context, checked=False)
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
        """How many bytes there are, or raise for what is not what was announced."""
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as content:
            await self._bucket.read_into(cast("BinaryIO", content), key, self.limits.max_bytes)
            found = await self.check_type(cast("BinaryIO", content), attachment.mime_type)
            if not same_kind(found, attachment.mime_type):
                raise self.unsupported()
            return content.seek(0, 2)


class S3Files:
    """One client for the process, connected when it is first needed."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._clients: dict[str | None, S3Client] = {}
        self._connecting = asyncio.Lock()

    async def put(self, key: str, content: BinaryIO, mime_type: str) -> None:
        with _told(key):
            client = await self._client()
            await client.put_object(
                Bucket=self._settings.bucket,
                Key=self._key(key),
                Body=content,
                ContentType=mime_type,
            )

    async def read(self, key: str) -> bytes:
        with _told(key):
            client = await self._client()
            found = await client.get_object(Bucket=self._settings.bucket, Key=self._key(key))
            async with found["Body"] as body:
                return await body.read()

    async def read_into(self, target: BinaryIO, key: str, limit: int) -> None:
        """Raises `FileGone`, or `FileTooLarge` as soon as it is known to be."""
        size = 0
        with _told(key):
            client = await self._client()
            found = await client.get_object(Bucket=self._settings.bucket, Key=self._key(key))
            async with found["Body"] as body:
                async for chunk in body.iter_chunks():
                    size += len(chunk)
                    if size > limit:
                        raise FileTooLarge(f"A file has at most {limit} bytes.")
                    target.write(chunk)

    async def move(self, source: str, target: str) -> None:
        with _told(source):
            client = await self._client()
            bucket = self._settings.bucket
            place = {"Bucket": bucket, "Key": self._key(source)}
            await client.copy_object(Bucket=bucket, Key=self._key(target), CopySource=place)  # type: ignore[arg-type]
            await client.delete_object(Bucket=bucket, Key=self._key(source))

    async def delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), DELETE_AT_ONCE):
            objects = [{"Key": self._key(key)} for key in keys[start : start + DELETE_AT_ONCE]]
            with _told("several"):
                client = await self._client()
                await client.delete_objects(
                    Bucket=self._settings.bucket,
                    Delete={"Objects": objects, "Quiet": True},  # type: ignore[typeddict-item]
                )

    async def locate(self, key: str, mime_type: str, disposition: str, seconds: int) -> str:
        with _told(key):
            client = await self._client(public=True)
            return await client.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._settings.bucket,
                    "Key": self._key(key),
                    "ResponseContentType": mime_type,
                    "ResponseContentDisposition": disposition,
                },
                ExpiresIn=seconds,
            )

    async def upload_url(
        self, key: str, mime_type: str, size: int, seconds: int
    ) -> AttachmentUploadDescriptor:
        """Size and type are signed along: the store refuses any other."""
        with _told(key):
            client = await self._client(public=True)
            url = await client.generate_presigned_url(
                "put_object",
                Params={
                    "Bucket": self._settings.bucket,
                    "Key": self._key(key),
                    "ContentType": mime_type,
                    "ContentLength": size,
                },
                ExpiresIn=seconds,
            )
        return AttachmentUploadDescriptor(
            url=AnyUrl(url), method="PUT", headers={"Content-Type": mime_type}
        )

    async def older_than(self, moment: datetime) -> AsyncIterator[list[str]]:
        with _told("all"):
            client = await self._client()
            pages = client.get_paginator("list_objects_v2").paginate(
                Bucket=self._settings.bucket, Prefix=self._key("")
            )
            async for page in pages:
                yield [
                    found["Key"].removeprefix(self._key(""))
                    for found in page.get("Contents", [])
                    if found["LastModified"] < moment
                ]

    async def close(self) -> None:
        await self._stack.aclose()

    def _key(self, key: str) -> str:
        prefix = self._settings.prefix.strip("/")
        return f"{prefix}/{key}" if prefix else key

    async def _client(self, *, public: bool = False) -> "S3Client":
        """The one for requests of ours, or the one that signs what browsers ask for."""
        settings = self._settings
        url = (public and settings.public_endpoint_url) or settings.endpoint_url
        async with self._connecting:
            if url not in self._clients:
                secret = settings.secret_access_key
                client = _session().create_client(
                    "s3",
                    endpoint_url=url,
                    region_name=settings.region,
                    aws_access_key_id=settings.access_key_id,
                    aws_secret_access_key=secret.get_secret_value() if secret else None,
                    config=AioConfig(
                        connect_timeout=CONNECT_SECONDS,
                        read_timeout=READ_SECONDS,
                        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                        signature_version="s3v4",
                        s3={"addressing_style": "path" if settings.path_style else "auto"},
                        # Others than Amazon know no newer checksums.
                        request_checksum_calculation="when_required",
                        response_checksum_validation="when_required",
                    ),
                )
                self._clients[url] = await self._stack.enter_async_context(client)
            return self._clients[url]


@cache
def _session() -> AioSession:
    """One for the process: all waits while it reads the description of Amazon's API, once."""
    return get_session()


def _incoming(attachment: Attachment, context: RequestContext) -> str:
    return f"{INCOMING}/{key_of(context.user_id, attachment.id)}"


@contextmanager
def _told(key: str) -> Iterator[None]:
    """What the store refuses is told to the operator by its reason, and to the user in general."""
    try:
        yield
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "")
        if code in MISSING:
            raise FileGone(key) from None
        logger.error("the store of attachments refuses: %s", code)
        raise FilesUnavailable from error
    except (BotoCoreError, OSError, TimeoutError) as error:
        logger.error("the store of attachments fails: %s", type(error).__name__)
        raise FilesUnavailable from error
