"""The signed header of an AWS application load balancer, `X-Amzn-Oidc-Data`.

It is a token (JWT) with some peculiarities: its parts are padded, its header contains the signer
and the expiry time, and each key is published at a URL of its own, as PEM.
https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html
"""

import asyncio
import logging
import math
import re
import time
from collections.abc import Mapping
from typing import Any

import httpx2
import jwt
from jwt.exceptions import InvalidKeyError, InvalidTokenError, PyJWTError

from engine.auth.base import User
from engine.auth.tokens import JWKS_TIMEOUT_SECONDS, TokenSettings, user_with_id
from engine.http.errors import Unauthenticated, Unavailable

ES256 = "ES256"
_ES256 = jwt.get_algorithm_by_name(ES256)
_KEY_ID = re.compile(r"[\w-]{1,64}", re.ASCII)  # it becomes part of a URL

logger = logging.getLogger(__name__)


class LoadBalancer:
    """Verifies tokens that the load balancer with this ARN signed."""

    def __init__(self, arn: str, url: str, settings: TokenSettings) -> None:
        self._arn = arn
        self._settings = settings
        self._keys = _Keys(url, settings.jwks_cooldown_seconds)

    async def user(self, token: str) -> User:
        """The user that the token names. Raises `Unauthenticated` if the token is not valid."""
        try:
            header = jwt.get_unverified_header(token)
            # The same keys sign for all load balancers of the region, also those of other customers.
            if header.get("signer") != self._arn:
                raise InvalidTokenError(f"signed by {header.get('signer')!r}")
            claims = jwt.decode(
                token,
                await self._keys.find(header.get("kid")),
                algorithms=[ES256],
                leeway=self._settings.leeway_seconds,
                options={"require": [self._settings.user_claim], "verify_aud": False},
            )
            self._check(header)
        except PyJWTError as error:
            logger.info("the load balancer's token refused: %r", error)
            raise Unauthenticated("The load balancer's token is not valid.") from error
        return user_with_id(claims[self._settings.user_claim], source="The load balancer's token")

    async def close(self) -> None:
        await self._keys.close()

    def _check(self, header: Mapping[str, Any]) -> None:
        expires = header.get("exp")
        if not isinstance(expires, int | float):
            raise InvalidTokenError("no exp in the header")
        if time.time() >= expires + self._settings.leeway_seconds:
            raise InvalidTokenError(f"expired at {expires}")
        for name, wanted in (("iss", self._settings.issuer), ("client", self._settings.audience)):
            if wanted is not None and header.get(name) != wanted:
                raise InvalidTokenError(f"{name} is {header.get(name)!r}")


class _Keys:
    """Public keys at `url/<id>`. Each is fetched once, because the key of an id never changes.

    After a failed fetch, none is tried during the cool-down.
    """

    def __init__(self, url: str, cooldown_seconds: float) -> None:
        self._url = url.rstrip("/")
        self._cooldown_seconds = cooldown_seconds
        self._http = httpx2.AsyncClient(timeout=JWKS_TIMEOUT_SECONDS)
        self._keys: dict[str, Any] = {}
        self._failed_at = -math.inf
        self._fetching = asyncio.Lock()

    async def find(self, key_id: object) -> Any:
        """Raises InvalidKeyError for an unknown key, `Unavailable` if it cannot be fetched."""
        if not isinstance(key_id, str) or not _KEY_ID.fullmatch(key_id):
            raise InvalidKeyError(f"no key id: {key_id!r}")
        async with self._fetching:
            if key_id not in self._keys:
                self._keys[key_id] = await self._fetch(key_id)
        return self._keys[key_id]

    async def close(self) -> None:
        await self._http.aclose()

    async def _fetch(self, key_id: str) -> Any:
        if time.monotonic() - self._failed_at < self._cooldown_seconds:
            raise Unavailable("Sign-in is not available at the moment.")
        try:
            response = await self._http.get(f"{self._url}/{key_id}")
            response.raise_for_status()
            return _ES256.prepare_key(response.text)
        except (httpx2.HTTPError, ValueError, PyJWTError) as error:
            self._failed_at = time.monotonic()
            logger.warning("could not fetch the key %s at %s: %r", key_id, self._url, error)
            if isinstance(error, httpx2.HTTPStatusError) and response.status_code < 500:
                raise InvalidKeyError(f"no key {key_id!r} at {self._url}") from error
            raise Unavailable("Sign-in is not available at the moment.") from error
