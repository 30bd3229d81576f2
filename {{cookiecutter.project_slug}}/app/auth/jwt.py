"""Sign-in elsewhere: each request carries a token (JWT) of an identity provider or of your site."""

import asyncio
import logging
import math
import time
from typing import Any

import httpx
import jwt
from fastapi import Request, Response
from jwt import PyJWK, PyJWKSet
from jwt.exceptions import ExpiredSignatureError, InvalidKeyError, PyJWTError
from pydantic import Field, HttpUrl, SecretStr
from pydantic_settings import SettingsConfigDict

from app.auth.base import MAX_USER_ID_LENGTH, User
from app.config import EnvSettings, Settings
from app.db import Database
from app.errors import Unauthenticated, Unavailable

MIN_SECRET_BYTES = 32  # as long as the hash of HS256 (RFC 7518, section 3.2)
JWKS_TIMEOUT_SECONDS = 5.0
SAMPLE_LIFETIME_SECONDS = 3600

logger = logging.getLogger(__name__)


class JwtSettings(EnvSettings):
    """Exactly one of `secret` and `jwks_url` says whose signatures count."""

    model_config = SettingsConfigDict(env_prefix="JWT_")

    secret: SecretStr | None = None
    jwks_url: HttpUrl | None = None
    issuer: str | None = None
    audience: str | None = None
    user_claim: str = "sub"
    leeway_seconds: float = Field(default=30, ge=0)
    jwks_cache_seconds: float = Field(default=300, ge=0)
    jwks_cooldown_seconds: float = Field(default=10, ge=0)


class JwtAuth:
    name = "jwt"

    def __init__(
        self,
        settings: Settings,
        database: Database | None = None,
        jwt_settings: JwtSettings | None = None,
    ) -> None:
        self._settings = jwt_settings or JwtSettings()
        self._keys = _keys(self._settings)

    async def authenticate(self, request: Request) -> User:
        claims = await self._claims(_bearer_token(request))
        return User(id=_user_id(claims[self._settings.user_claim]))

    def visit(self, request: Request, response: Response) -> None:
        pass

    async def sample_credentials(self, user_id: str) -> dict[str, str]:
        if not isinstance(self._keys, SharedSecret):
            raise ValueError("Only the identity provider behind JWT_JWKS_URL can sign tokens.")
        claims: dict[str, Any] = {
            self._settings.user_claim: user_id,
            "exp": int(time.time()) + SAMPLE_LIFETIME_SECONDS,
        }
        if self._settings.issuer is not None:
            claims["iss"] = self._settings.issuer
        if self._settings.audience is not None:
            claims["aud"] = self._settings.audience
        return {"Authorization": f"Bearer {self._keys.sign(claims)}"}

    async def close(self) -> None:
        await self._keys.close()

    async def _claims(self, token: str) -> dict[str, Any]:
        """The token's claims, once its signature, times, issuer and audience hold.

        A token that names an audience while JWT_AUDIENCE is unset was made for somebody else
        and is refused (RFC 7519, section 4.1.3).
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


class SharedSecret:
    """One secret, known to whoever issues the tokens and to this application."""

    algorithms = ("HS256",)

    def __init__(self, secret: str) -> None:
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(
                f"JWT_SECRET is shorter than {MIN_SECRET_BYTES} bytes. To make one: "
                'python -c "import secrets; print(secrets.token_urlsafe(48))"'
            )
        self._secret = secret

    async def find(self, _key_id: str | None) -> str:
        return self._secret

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._secret, algorithm="HS256")

    async def close(self) -> None:
        pass


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
        """The key with that id. Raises InvalidKeyError for an unknown one, `Unavailable` for none."""
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


def _keys(settings: JwtSettings) -> SharedSecret | JwksKeys:
    if settings.secret is not None and settings.jwks_url is None:
        return SharedSecret(settings.secret.get_secret_value())
    if settings.jwks_url is not None and settings.secret is None:
        return JwksKeys(
            str(settings.jwks_url),
            cache_seconds=settings.jwks_cache_seconds,
            cooldown_seconds=settings.jwks_cooldown_seconds,
        )
    raise ValueError(
        "Set exactly one of JWT_SECRET and JWT_JWKS_URL. "
        "`python -m app setup` writes a JWT_SECRET into .env for development."
    )


def _signing_keys(jwks: dict[str, Any]) -> dict[str | None, PyJWK]:
    keys = {
        key.key_id: key for key in PyJWKSet.from_dict(jwks) if key.public_key_use in (None, "sig")
    }
    if not keys:
        raise ValueError("there is no signing key among them")
    return keys


def _bearer_token(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("An access token is required.")
    return token


def _user_id(claim: object) -> str:
    """The claim as a user id. What is not printable (NUL, lone surrogates) no text column takes."""
    if isinstance(claim, str) and 1 <= len(claim) <= MAX_USER_ID_LENGTH and claim.isprintable():
        return claim
    raise Unauthenticated("The access token names no usable user.")
