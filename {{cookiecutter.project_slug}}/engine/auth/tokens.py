"""Verifies signed tokens (JWT) of other issuers."""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from typing import Any, Protocol

import httpx2
import jwt
from jwt import PyJWK, PyJWKSet
from jwt.exceptions import ExpiredSignatureError, InvalidKeyError, PyJWTError
from pydantic import BaseModel, Field, HttpUrl

from engine.auth.base import MAX_USER_ID_LENGTH, User
from engine.http.errors import Unauthenticated, Unavailable

JWKS_TIMEOUT_SECONDS = 5.0

logger = logging.getLogger(__name__)


class TokenSettings(BaseModel):
    """The settings for tokens, inherited by styles together with `EnvSettings`."""

    jwks_url: HttpUrl | None = None
    issuer: str | None = None
    audience: str | None = None
    user_claim: str = "sub"
    leeway_seconds: float = Field(default=30, ge=0)
    jwks_cache_seconds: float = Field(default=300, ge=0)
    jwks_cooldown_seconds: float = Field(default=10, ge=0)


class Keys(Protocol):
    """The keys and algorithms whose signatures are accepted."""

    @property
    def algorithms(self) -> Sequence[str]: ...

    async def find(self, key_id: str | None) -> PyJWK | str:
        """The key with that id. Raises InvalidKeyError if it is unknown, and `Unavailable` if no
        keys could be fetched.
        """
        ...

    async def close(self) -> None: ...


class TokenVerifier:
    def __init__(self, keys: Keys, settings: TokenSettings) -> None:
        self._keys = keys
        self._settings = settings

    async def user(self, token: str) -> User:
        """The user that the token names. Raises `Unauthenticated` if the token is not valid."""
        claims = await self._claims(token)
        return user_with_id(claims[self._settings.user_claim], source="The access token")

    async def close(self) -> None:
        await self._keys.close()

    async def _claims(self, token: str) -> dict[str, Any]:
        """The claims of the token, after checking its signature, times, issuer and audience.

        If no audience is set, a token that names one is for another application and is refused
        (RFC 7519, section 4.1.3).
        """
        try:
            key_id = jwt.get_unverified_header(token).get("kid")
            return jwt.decode(
                token,
                await self._keys.find(key_id),
                algorithms=self._keys.algorithms,
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                leeway=self._settings.leeway_seconds,
                options={"require": ["exp", self._settings.user_claim]},
            )
        except ExpiredSignatureError as error:
            raise Unauthenticated("The access token has expired.") from error
        except PyJWTError as error:
            # `%r`, because the details may quote the unverified token.
            logger.info("access token refused: %r", error)
            raise Unauthenticated("The access token is not valid.") from error


class JwksKeys:
    """The public keys (JWKS) of an identity provider, kept while it is not reachable.

    They are fetched again when the cache time has passed, or when a token names an unknown key
    because the provider rotated its keys. One fetch runs at a time, and the next one after the
    cool-down at the earliest, so that forged key ids and outages do not flood the provider.
    """

    # No HMAC: an attacker could sign with the public key as the shared secret.
    algorithms = ("RS256", "ES256", "PS256", "EdDSA")

    def __init__(self, url: str, *, cache_seconds: float, cooldown_seconds: float) -> None:
        self._url = url
        self._cache_seconds = cache_seconds
        self._cooldown_seconds = cooldown_seconds
        self._http = httpx2.AsyncClient(timeout=JWKS_TIMEOUT_SECONDS)
        self._keys: dict[str | None, PyJWK] = {}
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str | None) -> PyJWK:
        if self._should_fetch(key_id) and not self._can_use_cached(key_id):
            async with self._fetching:
                if self._should_fetch(key_id):  # no other request did meanwhile
                    await self._fetch()
        if not self._keys:
            raise Unavailable("Sign-in is not available at the moment.")
        if key_id not in self._keys:
            raise InvalidKeyError(f"no key {key_id!r} at {self._url}")
        return self._keys[key_id]

    async def close(self) -> None:
        await self._http.aclose()

    def _should_fetch(self, key_id: str | None) -> bool:
        now = time.monotonic()
        is_stale = now - self._fetched_at >= self._cache_seconds
        is_cooling_down = now - self._tried_at < self._cooldown_seconds
        return (is_stale or key_id not in self._keys) and not is_cooling_down

    def _can_use_cached(self, key_id: str | None) -> bool:
        """True if another request is fetching and the key is cached, so that one request waits."""
        return self._fetching.locked() and key_id in self._keys

    async def _fetch(self) -> None:
        try:
            response = await self._http.get(self._url)
            response.raise_for_status()
            self._keys = _signing_keys(response.json())
            self._fetched_at = time.monotonic()
        except Exception:
            # The provider may answer anything; the keys fetched before are kept.
            logger.warning("could not fetch the keys at %s", self._url, exc_info=True)
        self._tried_at = time.monotonic()


def jwks_keys(url: HttpUrl, settings: TokenSettings) -> JwksKeys:
    return JwksKeys(
        str(url),
        cache_seconds=settings.jwks_cache_seconds,
        cooldown_seconds=settings.jwks_cooldown_seconds,
    )


def require_issuer_and_audience(settings: TokenSettings, prefix: str) -> None:
    """Raises ValueError unless the issuer and the audience of tokens are set.

    The keys of a provider sign tokens for many applications, and often for many customers.
    """
    names = {"ISSUER": settings.issuer, "AUDIENCE": settings.audience}
    if missing := [f"{prefix}_{name}" for name, value in names.items() if not value]:
        raise ValueError(
            f"With {prefix}_JWKS_URL, set {' and '.join(missing)} too: the keys there also sign "
            "tokens for other applications."
        )


def _signing_keys(jwks: dict[str, Any]) -> dict[str | None, PyJWK]:
    keys = {
        key.key_id: key for key in PyJWKSet.from_dict(jwks) if key.public_key_use in (None, "sig")
    }
    if not keys:
        raise ValueError("the key set contains no signing key")
    return keys


def user_with_id(id_: object, *, source: str) -> User:
    """The user with that id. Raises `Unauthenticated` if it cannot be stored (NUL, surrogates)."""
    if isinstance(id_, str) and 1 <= len(id_) <= MAX_USER_ID_LENGTH and id_.isprintable():
        return User(id=id_)
    raise Unauthenticated(f"{source} names no usable user.")
