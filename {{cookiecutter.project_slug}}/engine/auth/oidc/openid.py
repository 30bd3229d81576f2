"""The client of an OpenID provider: authorization code flow with PKCE, through Authlib."""

import base64
import hashlib
import hmac
import json
import logging
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode

from authlib.integrations.starlette_client import OAuth, OAuthError, StarletteOAuth2App
from fastapi import Request
from joserfc.errors import JoseError
from pydantic import HttpUrl, SecretStr
from pydantic_settings import SettingsConfigDict

from engine.auth.cookies import read_cookie
from engine.auth.sessions.forms import return_path
from engine.database.database import TABLE_PREFIX
from engine.settings.settings import EnvSettings

PROVIDER_SECONDS = 10.0
LEEWAY_SECONDS = 30

# Many servers accept URLs of 8,000 bytes at most.
MAX_HINT_CHARS = 6_000

# The fields that a discovery document must have.
REQUIRED_METADATA = ("issuer", "authorization_endpoint", "token_endpoint", "jwks_uri")

# Without HMAC, for which the published key would be the secret, and without "none".
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")

# How a client authenticates at the token endpoint. The default is `client_secret_basic` (OpenID
# Connect Discovery 1.0, section 3).
METHODS_SUPPORTED = "token_endpoint_auth_methods_supported"
BASIC, POST, PUBLIC = "client_secret_basic", "client_secret_post", "none"

logger = logging.getLogger(__name__)


class OidcSettings(EnvSettings):
    """Without these settings sign-in is not possible, which the page explains."""

    model_config = SettingsConfigDict(env_prefix="OIDC_")

    discovery_url: HttpUrl | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    scope: str = "openid profile email"
    public_url: HttpUrl | None = None


class SignInFailed(Exception):
    """The provider's response is not valid. The message is for the log."""


class ProviderUnreachable(Exception):
    """The provider does not answer, or answers with an error."""


class UnusableProvider(ProviderUnreachable):
    """The provider requires something that this client does not support. The message has the fix."""


class NotConfigured(Exception):
    """No provider is set."""


@dataclass(frozen=True)
class Identity:
    """The user that the provider signed in: the claims of the ID token, and the token itself."""

    claims: dict[str, Any]
    token: str


@dataclass(frozen=True)
class Attempt:
    """One attempt to sign in. Its secret is only in a cookie of the browser.

    State, nonce and code verifier are derived from the secret. So the server stores nothing, and
    the provider's response is accepted from this browser only.
    """

    secret: str
    return_to: str

    @classmethod
    def new(cls, return_to: str) -> "Attempt":
        return cls(secrets.token_urlsafe(32), return_to)

    @classmethod
    def of(cls, request: Request) -> "Attempt":
        """The attempt that this response of the provider belongs to. Raises `SignInFailed`."""
        state = request.query_params.get("state", "")
        secret, _, wanted = (read_cookie(request, _cookie(state)) or "").partition(".")
        attempt = cls(secret, return_path(request, _decoded(wanted)))
        if not secret or not hmac.compare_digest(attempt.state.encode(), state.encode()):
            raise SignInFailed("this browser did not begin the sign-in, or it took too long")
        return attempt

    @property
    def cookie(self) -> str:
        return _cookie(self.state)

    @property
    def state(self) -> str:
        return self._derived("state")

    @property
    def nonce(self) -> str:
        return self._derived("nonce")

    @property
    def code_verifier(self) -> str:
        return self._derived("code verifier")

    def __str__(self) -> str:
        return f"{self.secret}.{_encoded(self.return_to.encode())}"

    def _derived(self, purpose: str) -> str:
        return _encoded(hmac.digest(self.secret.encode(), purpose.encode(), hashlib.sha256))


class Provider:
    """Authlib's client of the provider, without Authlib's sessions."""

    def __init__(self, settings: OidcSettings) -> None:
        self._secret = settings.client_secret.get_secret_value() if settings.client_secret else ""
        oauth = OAuth()
        oauth.register(
            "oidc",
            client_id=settings.client_id,
            client_secret=self._secret or None,
            client_auth_methods=[(BASIC, _basic)],
            server_metadata_url=str(settings.discovery_url),
            client_kwargs={
                "scope": settings.scope,
                "code_challenge_method": "S256",
                "timeout": PROVIDER_SECONDS,
            },
        )
        self._client: StarletteOAuth2App = oauth.oidc
        self._client_id = settings.client_id

    async def metadata(self) -> dict[str, Any]:
        """The discovery document. Raises `ProviderUnreachable` or `UnusableProvider`."""
        try:
            metadata: dict[str, Any] = await self._client.load_server_metadata()
            offered = metadata.get("id_token_signing_alg_values_supported", ["RS256"])
            metadata["id_token_signing_alg_values_supported"] = [
                algorithm for algorithm in offered if algorithm in ALGORITHMS
            ]
            missing = [name for name in REQUIRED_METADATA if not isinstance(metadata.get(name), str)]
        except Exception as error:
            # The provider may answer anything, and several libraries check it.
            raise ProviderUnreachable(f"no discovery document: {error!r}") from error
        try:
            if missing:
                raise ProviderUnreachable(f"the discovery document lacks {', '.join(missing)}")
            # Authlib passes it to each client that it creates.
            metadata["token_endpoint_auth_method"] = self._auth_method(metadata)
        except ProviderUnreachable:
            metadata.clear()  # so that Authlib fetches it again
            raise
        return metadata

    def _auth_method(self, metadata: dict[str, Any]) -> str:
        """The authentication method. A client without a secret is public and relies on PKCE, which
        a provider need not list (RFC 8414).
        """
        if not self._secret:
            return PUBLIC
        named = metadata.get(METHODS_SUPPORTED)
        offered = named if isinstance(named, list) and named else [BASIC]
        # Providers differ in how they decode special characters in a Basic header.
        is_plain = quote_plus(self._secret) == self._secret
        order = (BASIC, POST) if is_plain else (POST, BASIC)
        method = next((method for method in order if method in offered), None)
        if method is None:
            raise UnusableProvider(
                f"the token endpoint accepts {', '.join(map(repr, offered))} and no client secret. "
                f"Register this application there with {BASIC} or {POST}."
            )
        return method

    async def authorization_url(self, attempt: Attempt, callback: str) -> str:
        await self.metadata()
        made = await self._client.create_authorization_url(
            callback,
            state=attempt.state,
            nonce=attempt.nonce,
            code_verifier=attempt.code_verifier,
        )
        url: str = made["url"]
        return url

    async def identity(self, attempt: Attempt, callback: str, code: str) -> Identity:
        """Exchange the code for the user's identity. Raises `SignInFailed`, `ProviderUnreachable`."""
        metadata = await self.metadata()
        try:
            token = await self._client.fetch_access_token(
                redirect_uri=callback, code=code, code_verifier=attempt.code_verifier
            )
            claims = await self._client.parse_id_token(
                token,
                nonce=attempt.nonce,
                claims_options={
                    "iss": {"essential": True, "value": metadata["issuer"]},
                    "aud": {"essential": True, "value": self._client_id},
                },
                leeway=LEEWAY_SECONDS,
            )
        except (OAuthError, JoseError) as error:
            raise SignInFailed(repr(error)) from error
        except Exception as error:
            raise ProviderUnreachable(repr(error)) from error
        if not claims or not isinstance(claims["sub"], str) or not claims["sub"]:
            raise SignInFailed("the response has no ID token, or the token has no `sub`")
        return Identity(dict(claims), token["id_token"])

    async def sign_out_url(self, return_to: str, id_token: str | None) -> str | None:
        """The URL at which the provider ends its own session, or None if it has none.

        The ID token identifies the session (RP-Initiated Logout 1.0, section 2). Without it the
        provider has to ask the user, and may not send them back here.
        """
        try:
            endpoint = (await self.metadata()).get("end_session_endpoint")
        except ProviderUnreachable:
            return None
        if not isinstance(endpoint, str):
            return None
        query = {"client_id": self._client_id, "post_logout_redirect_uri": return_to}
        if id_token is not None and len(id_token) <= MAX_HINT_CHARS:
            query["id_token_hint"] = id_token
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urlencode(query)}"


def _basic(client: Any, _method: str, uri: str, headers: Any, body: str) -> tuple[str, Any, str]:
    """Client id and secret are form-encoded before they are joined (RFC 6749, section 2.3.1)."""
    pair = f"{quote_plus(client.client_id)}:{quote_plus(client.client_secret)}"
    headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return uri, headers, body


def configured_provider(settings: OidcSettings) -> Provider | None:
    if settings.discovery_url is None and settings.client_id is None:
        logger.warning("OIDC_DISCOVERY_URL and OIDC_CLIENT_ID are not set: nobody can sign in")
        return None
    if settings.discovery_url is None or settings.client_id is None:
        raise ValueError("Set OIDC_DISCOVERY_URL and OIDC_CLIENT_ID, both or neither.")
    return Provider(settings)


def user_id(claims: dict[str, Any]) -> str:
    """A hash of issuer and `sub`: `sub` is unique at its issuer only, and may have any format."""
    subject = json.dumps([claims["iss"], claims["sub"]])
    return f"oidc_{hashlib.sha256(subject.encode()).hexdigest()}"


def name_of(claims: dict[str, Any]) -> str | None:
    names = (claims.get(claim) for claim in ("name", "preferred_username", "email"))
    return next((n[:200] for n in names if isinstance(n, str) and n and n.isprintable()), None)


def _cookie(state: str) -> str:
    """The name of the attempt's cookie. Each attempt has its own, so that several tabs can sign in."""
    return f"{TABLE_PREFIX}sign_in_{hashlib.sha256(state.encode()).hexdigest()[:16]}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> str | None:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except ValueError:
        return None
