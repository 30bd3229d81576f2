"""Signed tokens (JWT) that others make: whose they are, and whether they hold."""

import asyncio
import logging
import math
import time
from collections.abc import Sequence
from typing import Any, Protocol

import httpx
import jwt
from jwt import PyJWK, PyJWKSet
from jwt.exceptions import ExpiredSignatureError, InvalidKeyError, PyJWTError
from pydantic import BaseModel, Field, HttpUrl

from engine.auth.base import MAX_USER_ID_LENGTH, User
from engine.http.errors import Unauthenticated, Unavailable

JWKS_TIMEOUT_SECONDS = 5.0

logger = logging.getLogger(__name__)


class TokenSettings(BaseModel):
    """What the settings of a style say about tokens: to be inherited beside `EnvSettings`."""

    jwks_url: HttpUrl | None = None
    issuer: str | None = None
    audience: str | None = None
    user_claim: str = "sub"
    leeway_seconds: float = Field(default=30, ge=0)
    jwks_cache_seconds: float = Field(default=300, ge=0)
    jwks_cooldown_seconds: float = Field(default=10, ge=0)


class Keys(Protocol):
    """Whose signatures count, and made how."""

    @property
    def algorithms(self) -> Sequence[str]: ...

    async def find(self, key_id: str | None) -> PyJWK | str:
        """The key with that id. Raises InvalidKeyError for an unknown one, `Unavailable` for none."""
        ...

    async def close(self) -> None: ...


class TokenVerifier:
    def __init__(self, keys: Keys, settings: TokenSettings) -> None:
        self._keys = keys
        self._settings = settings

    async def user(self, token: str) -> User:
        """Whose token it is. Raises `Unauthenticated` unless it holds."""
        claims = await self._claims(token)
        return user_named(claims[self._settings.user_claim], by="The access token")

    async def close(self) -> None:
        await self._keys.close()

    async def _claims(self, token: str) -> dict[str, Any]:
        """The token's claims, once its signature, times, issuer and audience hold.

        A token that names an audience while none is set was made for somebody else and is
        refused (RFC 7519, section 4.1.3).
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
            # The details are for the operator. `%r`, since they may quote an unverified token.
            logger.info("access token refused: %r", error)
            raise Unauthenticated("The access token is not valid.") from error


class JwksKeys:
    """An identity provider's public keys: fetched when needed, kept while it cannot be reached.

    They are fetched again when they are older than the cache time, or when a token names a key
    that is not among them (the provider rotated). One fetch runs at a time and then none for the
    cool-down, so that made-up key ids and outages cause no storm.
    """

    # Never an HMAC here: a public key would then serve as the secret, and it is public.
    algorithms = ("RS256", "ES256", "PS256", "EdDSA")

    def __init__(self, url: str, *, cache_seconds: float, cooldown_seconds: float) -> None:
        self._url = url
        self._cache_seconds = cache_seconds
        self._cooldown_seconds = cooldown_seconds
        self._http = httpx.AsyncClient(timeout=JWKS_TIMEOUT_SECONDS)
        self._keys: dict[str | None, PyJWK] = {}
        self._fetched_at = -math.inf
        self._tried_at = -math.inf
        self._fetching = asyncio.Lock()

    async def find(self, key_id: str | None) -> PyJWK:
        if self._should_fetch(key_id) and not self._can_do_without_waiting(key_id):
            async with self._fetching:
                if self._should_fetch(key_id):  # nobody did while we waited
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

    def _can_do_without_waiting(self, key_id: str | None) -> bool:
        """Somebody else is at it, and what we have will do: a slow provider delays one request."""
        return self._fetching.locked() and key_id in self._keys

    async def _fetch(self) -> None:
        try:
            response = await self._http.get(self._url)
            response.raise_for_status()
            self._keys = _signing_keys(response.json())
            self._fetched_at = time.monotonic()
        except Exception:
            # Whatever another server does wrong: the last good keys stay.
            logger.warning("could not fetch the keys at %s", self._url, exc_info=True)
        self._tried_at = time.monotonic()


def published_keys(url: HttpUrl, settings: TokenSettings) -> JwksKeys:
    return JwksKeys(
        str(url),
        cache_seconds=settings.jwks_cache_seconds,
        cooldown_seconds=settings.jwks_cooldown_seconds,
    )


def check_names_who(settings: TokenSettings, prefix: str) -> None:
    """Raises ValueError unless the settings say who signs the tokens, and for whom.

    One provider's keys sign for many applications, and often for many customers.
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
        raise ValueError("there is no signing key among them")
    return keys


def user_named(name: object, *, by: str) -> User:
    """The user with that id. What is not printable (NUL, lone surrogates) no text column takes."""
    if isinstance(name, str) and 1 <= len(name) <= MAX_USER_ID_LENGTH and name.isprintable():
        return User(id=name)
    raise Unauthenticated(f"{by} names no usable user.")
