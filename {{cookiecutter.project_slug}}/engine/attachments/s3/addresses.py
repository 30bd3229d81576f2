"""Presigned URLs of the S3 store for browsers, and the source for the Content-Security-Policy."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal

from chatkit.types import AttachmentUploadDescriptor
from pydantic import AnyUrl, SecretStr

from engine.attachments.files import INCOMING
from engine.attachments.s3.clients import S3Clients
from engine.attachments.s3.settings import S3Settings

Operation = Literal["put_object", "get_object", "delete_object"]


class S3Addresses:
    def __init__(self, settings: S3Settings, clients: S3Clients) -> None:
        self._settings = settings
        self._clients = clients

    async def upload(
        self, key: str, mime_type: str, size: int, seconds: int
    ) -> AttachmentUploadDescriptor:
        """Size and type are part of the signature, so the store refuses a different file."""
        url = await self._sign(
            "put_object", key, seconds, ContentType=mime_type, ContentLength=size
        )
        return AttachmentUploadDescriptor(
            url=AnyUrl(url), method="PUT", headers={"Content-Type": mime_type}
        )

    async def download(self, key: str, mime_type: str, disposition: str, seconds: int) -> str:
        return await self._sign(
            "get_object",
            key,
            seconds,
            ResponseContentType=mime_type,
            ResponseContentDisposition=disposition,
        )

    async def deletion(self, key: str, seconds: int) -> str:
        return await self._sign("delete_object", key, seconds)

    async def _sign(self, operation: Operation, key: str, seconds: int, **more: Any) -> str:
        client = await self._clients.signing()
        place = {"Bucket": self._settings.bucket, "Key": self._settings.object_key(key)}
        return await client.generate_presigned_url(
            operation, Params={**place, **more}, ExpiresIn=seconds
        )


def uploads_source(settings: S3Settings) -> str:
    """The URL of the upload folder, for the Content-Security-Policy.

    It is taken from a presigned URL, because it also depends on AWS_ENDPOINT_URL, profiles and
    partitions. That URL is signed with sample credentials, because those of a machine's role may
    not be available yet.
    """
    sample = {"access_key_id": "sample", "secret_access_key": SecretStr("sample")}
    # A thread, because there may already be a running event loop here.
    with ThreadPoolExecutor(1) as thread:
        url = thread.submit(
            lambda: asyncio.run(_sample_address(settings.model_copy(update=sample)))
        ).result()
    return url.partition("?")[0].removesuffix(_SAMPLE)


_SAMPLE = "owner/id"


async def _sample_address(settings: S3Settings) -> str:
    clients = S3Clients(settings)
    try:
        key = f"{INCOMING}/{_SAMPLE}"
        upload = await S3Addresses(settings, clients).upload(key, "text/plain", 1, 60)
        return str(upload.url)
    finally:
        await clients.close()
