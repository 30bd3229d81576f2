"""Anonymous users: a signed cookie makes each browser a user of its own."""

import hashlib
from uuid import uuid4

from fastapi import Request, Response
from itsdangerous import BadSignature, TimestampSigner
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from engine.auth.anonymous.visitors import VisitorLimits, VisitorSettings
from engine.auth.base import Authenticator, User
from engine.auth.cookies import Cookie, read_current_or_old_cookie, set_cookie
from engine.database.database import TABLE_PREFIX, Database
from engine.http.addresses import Addresses
from engine.http.errors import Unauthenticated
from engine.settings.settings import EnvSettings, Settings

# All ports of a host share their cookies, so the prefix tells two projects apart.
COOKIE = f"{TABLE_PREFIX}user"
ID_PREFIX = "anon_"
MAX_AGE_SECONDS = 400 * 24 * 3600  # the most that browsers grant (RFC 6265bis, section 5.5)


class AnonymousSettings(EnvSettings):
    model_config = SettingsConfigDict(env_prefix="ANONYMOUS_")

    retention_days: float = Field(default=0, ge=0)


class AnonymousAuth(Authenticator):
    name = "anonymous"
    lets_in = "EVERYBODY who can open the page, without an account"
    visitors = ID_PREFIX
    checks_origin = True

    def __init__(self, settings: Settings, database: Database) -> None:
        self._signer = _signer(settings)
        self._addresses = Addresses(settings)
        limits = VisitorSettings()
        self.visitor_days = AnonymousSettings().retention_days
        self._limits = VisitorLimits(database, limits) if limits.are_set else None
        self.shared_limits = self._limits

    async def authenticate(self, request: Request) -> User:
        user_id = self._user_id(request)
        if user_id is None:
            raise Unauthenticated("There is no valid session cookie. Reload the page to get one.")
        if self._limits is not None:
            await self._limits.sweep()
        return User(id=user_id, address=self._addresses.of(request))

    def visit(self, request: Request, response: Response) -> None:
        # Each visit signs the cookie again, with the current key and a new expiry time.
        self._keep(request, response, self._user_id(request) or new_user_id())

    def forget(self, request: Request, response: Response) -> None:
        self._keep(request, response, new_user_id())

    def _keep(self, request: Request, response: Response, user_id: str) -> None:
        set_cookie(request, response, Cookie(COOKIE, self._sign(user_id), MAX_AGE_SECONDS))

    async def sample_credentials(self, user_id: str) -> dict[str, str]:
        return {"Cookie": f"{COOKIE}={self._sign(user_id)}"}

    def _sign(self, user_id: str) -> str:
        return self._signer.sign(user_id).decode()

    def _user_id(self, request: Request) -> str | None:
        """The user id in the cookie, if its signature is valid and not too old.

        A time in the future is accepted, because the clocks of two workers may differ, and a
        browser that loses its cookie loses all of its conversations.
        """
        signed = read_current_or_old_cookie(request, COOKIE) or ""
        try:
            user_id, signed_at = self._signer.unsign(signed, return_timestamp=True)
        except BadSignature:
            return None
        age = self._signer.get_timestamp() - signed_at.timestamp()
        return user_id.decode() if age <= MAX_AGE_SECONDS else None


def new_user_id() -> str:
    return f"{ID_PREFIX}{uuid4().hex}"


def _signer(settings: Settings) -> TimestampSigner:
    """Signs with the current key and also accepts the previous one, so that keys can be rotated."""
    return TimestampSigner(
        settings.signing_keys,
        salt="anonymous-user",
        key_derivation="hmac",
        digest_method=hashlib.sha256,
    )
