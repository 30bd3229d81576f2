"""Clients of the S3-compatible store, for the application's own requests and for presigned URLs."""

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import cache
from typing import TYPE_CHECKING, Any

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, ClientCreatorContext, get_session
from botocore.exceptions import NoCredentialsError
from botocore.utils import calculate_md5

from engine.attachments.s3.settings import S3Settings

if TYPE_CHECKING:
    from types_aiobotocore_s3 import S3Client

# The timeouts for each attempt are short, because a user waits.
CONNECT_SECONDS = 5
READ_SECONDS = 10
ATTEMPTS = 3


class S3Clients:
    """One client for each URL and process, created when it is first needed."""

    def __init__(self, settings: S3Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self._clients: dict[str | None, S3Client] = {}
        self._connecting = asyncio.Lock()

    async def own(self) -> "S3Client":
        return await self._at(self._settings.endpoint_url)

    async def signing(self) -> "S3Client":
        """The client that presigns URLs for browsers, which may reach the store at another URL."""
        return await self._at(self._settings.public_endpoint_url or self._settings.endpoint_url)

    async def close(self) -> None:
        await self._stack.aclose()

    async def _at(self, url: str | None) -> "S3Client":
        if url not in self._clients:
            await self._check_credentials()
            async with self._connecting:
                if url not in self._clients:
                    style = await self._addressing(url)
                    client = await self._stack.enter_async_context(self._new(url, style))
                    client.meta.events.register("before-call.s3.DeleteObjects", _add_md5)
                    self._clients[url] = client
        return self._clients[url]

    async def _check_credentials(self) -> None:
        """Raises `NoCredentialsError` if there are none.

        A client that was created without credentials never gets any, but those of a machine's role
        may only arrive later.
        """
        if self._settings.access_key_id is None and await _session().get_credentials() is None:
            raise NoCredentialsError

    async def _addressing(self, url: str | None) -> Mapping[str, str]:
        """The addressing style: virtual for Amazon, path for other stores.

        boto would use Amazon's global host by default. Regions opened after 2019 refuse it, and for
        a new bucket it redirects, which a browser's preflight request does not follow.
        """
        if self._settings.path_style is not None:
            return {"addressing_style": "path" if self._settings.path_style else "virtual"}
        if url is not None or await self._is_endpoint_configured():
            return {}
        return {"addressing_style": "virtual"}

    async def _is_endpoint_configured(self) -> bool:
        """True if AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3 or a profile names another store."""
        amazons = self._new(None, {}, ignore_configured_endpoint_urls=True)
        async with self._new(None, {}) as found, amazons as amazon:
            return found.meta.endpoint_url != amazon.meta.endpoint_url

    def _new(
        self, url: str | None, s3: Mapping[str, str], **more: Any
    ) -> "ClientCreatorContext[S3Client]":
        settings = self._settings
        secret = settings.secret_access_key
        return _session().create_client(
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
                s3={"us_east_1_regional_endpoint": "regional", **s3},
                # Only Amazon supports the newer checksums.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                **more,
            ),
        )


@cache
def _session() -> AioSession:
    """One for each process, because it blocks while it reads the description of Amazon's API."""
    return get_session()


def _add_md5(params: dict[str, Any], **_: object) -> None:
    """Several stores require Content-MD5, although Amazon accepts boto's newer checksum."""
    params["headers"]["Content-MD5"] = calculate_md5(params["body"])
