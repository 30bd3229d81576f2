"""Sessions: the browser's cookie has a random secret, and a row in the database has its hash."""

import base64
import binascii
import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import timedelta

from fastapi import Request, Response
from pydantic import Field
from pydantic_settings import SettingsConfigDict

from engine.auth.base import MAX_USER_ID_LENGTH, Authenticator, User
from engine.auth.cookies import (
    Cookie,
    drop_cookie,
    read_current_or_old_cookie,
    rename_cookie,
    set_cookie,
)
from engine.auth.sessions.rows import Session, SessionStore
from engine.database.database import TABLE_PREFIX, Database
from engine.http.errors import Unauthenticated
from engine.settings.settings import EnvSettings

# All ports of a host share their cookies, so the prefix tells two projects apart.
COOKIE = f"{TABLE_PREFIX}session"
SECRET_BYTES = 32

_TICKET = re.compile(r"(?P<user>[\w-]{2,1400})\.(?P<secret>[\w-]{43})", re.ASCII)


class SessionSettings(EnvSettings):
    model_config = SettingsConfigDict(env_prefix="SESSION_")

    days: float = Field(default=30, gt=0, le=400)
    idle_days: float = Field(default=7, gt=0)


@dataclass(frozen=True)
class Ticket:
    """The content of the cookie: the user id, which owns the session's row, and the secret.

    The secret has 256 random bits, so a fast hash is enough.
    """

    user_id: str
    secret: str

    @classmethod
    def new(cls, user_id: str) -> "Ticket":
        return cls(user_id, secrets.token_urlsafe(SECRET_BYTES))

    @classmethod
    def parse(cls, cookie: str) -> "Ticket | None":
        if (match := _TICKET.fullmatch(cookie)) is None:
            return None
        user = match["user"]
        try:
            user_id = base64.urlsafe_b64decode(user + "=" * (-len(user) % 4)).decode()
        except (binascii.Error, UnicodeDecodeError):
            return None
        if not 0 < len(user_id) <= MAX_USER_ID_LENGTH or "\0" in user_id:
            return None
        return cls(user_id, match["secret"])

    @property
    def session_id(self) -> str:
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def __str__(self) -> str:
        user = base64.urlsafe_b64encode(self.user_id.encode()).decode().rstrip("=")
        return f"{user}.{self.secret}"


class Sessions:
    def __init__(self, database: Database, settings: SessionSettings | None = None) -> None:
        settings = settings or SessionSettings()
        lifetime = timedelta(days=settings.days)
        self._seconds = int(lifetime.total_seconds())
        self.store = SessionStore(database, lifetime, timedelta(days=settings.idle_days))

    async def find(self, request: Request) -> Session | None:
        ticket = _ticket_of(request)
        if ticket is None:
            return None
        return await self.store.find(ticket.user_id, ticket.session_id)

    async def authenticate(self, request: Request) -> Session:
        """The session of the request. Raises `Unauthenticated`."""
        session = await self.find(request)
        if session is None:
            raise Unauthenticated("You are not signed in, or no longer.")
        return session

    async def start(
        self, request: Request, response: Response, user_id: str, name: str | None = None
    ) -> Session:
        """Sign this browser in with a new session, and end its old one."""
        ticket = Ticket.new(user_id)
        session = Session(user_id, ticket.session_id, name)
        await self.store.begin(session)
        await self.replace_session(request, response, ticket)
        return session

    async def replace_session(self, request: Request, response: Response, ticket: Ticket) -> None:
        """Set the cookie of a session that has begun, and end the browser's old session."""
        await self._end_session_of(request)
        set_cookie(request, response, Cookie(COOKIE, str(ticket), self._seconds))

    def rename_cookie(self, request: Request, response: Response) -> None:
        """Give the cookie of an older release its current name, so that the user stays signed in."""
        rename_cookie(request, response, COOKIE, self._seconds)

    async def end(self, request: Request, response: Response) -> None:
        await self._end_session_of(request)
        drop_cookie(request, response, COOKIE)

    async def sample_credentials(self, user_id: str) -> dict[str, str]:
        ticket = Ticket.new(user_id)
        await self.store.begin(Session(user_id, ticket.session_id, None))
        return {"Cookie": f"{COOKIE}={ticket}"}

    async def _end_session_of(self, request: Request) -> None:
        if ticket := _ticket_of(request):
            await self.store.end(ticket.user_id, ticket.session_id)


class SessionAuth(Authenticator):
    """Base of the styles that sign users in on this server and then use a session."""

    checks_origin = True

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions

    async def authenticate(self, request: Request) -> User:
        session = await self.sessions.authenticate(request)
        return User(session.user_id, session.name, sign_in=session.id)

    async def is_signed_in(self, user_id: str, sign_in: str) -> bool:
        return await self.sessions.store.find(user_id, sign_in) is not None

    def visit(self, request: Request, response: Response) -> None:
        self.sessions.rename_cookie(request, response)

    async def sample_credentials(self, user_id: str) -> dict[str, str]:
        return await self.sessions.sample_credentials(user_id)

    def forget(self, request: Request, response: Response) -> None:
        drop_cookie(request, response, COOKIE)


def _ticket_of(request: Request) -> Ticket | None:
    return Ticket.parse(read_current_or_old_cookie(request, COOKIE) or "")
