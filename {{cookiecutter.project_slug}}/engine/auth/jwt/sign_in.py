"""Authentication with a bearer token (JWT) that an identity provider or your own site issues."""

import time
from typing import Any

import jwt
from fastapi import Request
from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from engine.auth.base import Authenticator, User
from engine.auth.tokens import (
    JwksKeys,
    TokenSettings,
    TokenVerifier,
    jwks_keys,
    require_issuer_and_audience,
)
from engine.database.database import Database
from engine.http.addresses import Addresses
from engine.http.audit import record
from engine.http.errors import Unauthenticated
from engine.settings.settings import EnvSettings, Settings

MIN_SECRET_BYTES = 32  # as long as the hash of HS256 (RFC 7518, section 3.2)
SAMPLE_LIFETIME_SECONDS = 3600


class JwtSettings(EnvSettings, TokenSettings):
    """Exactly one of `secret` and `jwks_url` must be set; it verifies the signatures."""

    model_config = SettingsConfigDict(env_prefix="JWT_")

    secret: SecretStr | None = None


class JwtAuth(Authenticator):
    name = "jwt"

    def __init__(
        self,
        settings: Settings,
        database: Database | None = None,
        jwt_settings: JwtSettings | None = None,
    ) -> None:
        self._settings = jwt_settings or JwtSettings()
        self._addresses = Addresses(settings)
        self._keys = _keys(self._settings)
        signer = self._settings.jwks_url or "whoever has JWT_SECRET"
        self.lets_in = f"everybody with a token that {signer} has signed"
        self._verifier = TokenVerifier(self._keys, self._settings)

    async def authenticate(self, request: Request) -> User:
        token = _bearer_token(request)
        try:
            return await self._verifier.user(token)
        except Unauthenticated as error:
            record("a token refused", self._addresses.of(request), reason=error.code)
            raise

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
        await self._verifier.close()


class SharedSecret:
    """A secret that the issuer of the tokens and this application share (HS256)."""

    algorithms = ("HS256",)

    def __init__(self, secret: str) -> None:
        if len(secret.encode()) < MIN_SECRET_BYTES:
            raise ValueError(
                f"JWT_SECRET is shorter than {MIN_SECRET_BYTES} bytes. To generate one: "
                'python -c "import secrets; print(secrets.token_urlsafe(48))"'
            )
        self._secret = secret

    async def find(self, _key_id: str | None) -> str:
        return self._secret

    def sign(self, claims: dict[str, Any]) -> str:
        return jwt.encode(claims, self._secret, algorithm="HS256")

    async def close(self) -> None:
        pass


def _keys(settings: JwtSettings) -> SharedSecret | JwksKeys:
    if settings.secret is not None and settings.jwks_url is None:
        return SharedSecret(settings.secret.get_secret_value())
    if settings.jwks_url is not None and settings.secret is None:
        require_issuer_and_audience(settings, "JWT")
        return jwks_keys(settings.jwks_url, settings)
    raise ValueError(
        "Set exactly one of JWT_SECRET and JWT_JWKS_URL. "
        "`python3 -m app setup` writes a JWT_SECRET into .env for development."
    )


def _bearer_token(request: Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthenticated("An access token is required.")
    return token
