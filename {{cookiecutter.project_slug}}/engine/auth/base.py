"""The interface of auth styles: an `Authenticator` returns the user of a request, or refuses it."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from fastapi import APIRouter, Request, Response

from engine.context.shared_limits import SharedLimits
from engine.database.database import Database
from engine.settings.settings import Settings

MAX_USER_ID_LENGTH = 255


@dataclass(frozen=True)
class User:
    """An authenticated user. `id` is the owner of the user's rows: 1 to 255 characters, no NUL.

    `name` is for display on the page, if the style knows it. `address` is a keyed hash of the
    network address, if the style has limits per address. `sign_in` is the id of the session, if
    the style has sessions; links that were created in a session end with it, see `is_signed_in`.
    """

    id: str
    name: str | None = None
    address: str | None = None
    sign_in: str | None = None


def user_key(user: User) -> str:
    """The name under which a page knows its user: a hash of the id."""
    return hashlib.sha256(user.id.encode()).hexdigest()[:16]


class SignInPages(Protocol):
    """The pages of a style that signs users in on this server. Values are paths."""

    router: APIRouter
    sign_in: str
    sign_out: str  # takes a POST with the field `form_token`
    windows: tuple[str, ...]  # prefixes of the paths that are opened in a sign-in window
    account: str | None  # where users manage their account

    def form_token(self, request: Request) -> str:
        """The CSRF token that a form of this browser must contain."""
        ...


class OwnData(Protocol):
    """All that is kept of a user, for the pages where users see to it themselves."""

    async def export(self, user_id: str, target: Path) -> int:
        """Write the archive; returns how many files are in it."""
        ...

    async def erase(self, user_id: str) -> None: ...


class Authenticator:
    """One way to sign in, built once per process. A style of your own implements `authenticate`.

    `__init__` raises ValueError if its settings are not usable. `checks_origin` is True if browsers
    send the credentials by themselves, such as cookies: requests from pages of other sites are then
    refused. `pages` are set if users sign in on this server, `shared_limits` if anybody can become
    a new user at any time. `lets_in` ends the sentence "It lets in …", which setup and the doctor print.
    """

    name: str
    lets_in: str = "the users that the sign-in of app/auth.py accepts"
    checks_origin: bool = False
    pages: SignInPages | None = None
    shared_limits: SharedLimits | None = None

    # Users whose id begins so are visitors without a sign-in, kept for this many days if not 0.
    visitors: str = ""
    visitor_days: float = 0

    def __init__(self, settings: Settings, database: Database) -> None:
        """A style may also read settings of its own."""

    async def authenticate(self, request: Request) -> User:
        """The user of the request. Raises `Unauthenticated`, with a message that says what is missing."""
        raise NotImplementedError

    async def is_signed_in(self, user_id: str, sign_in: str) -> bool:
        """True while the session lasts, and with it the links that were created in it."""
        return True

    def visit(self, request: Request, response: Response) -> None:
        """Called when the page is opened; a style without sign-in sets its cookie here."""

    def forget(self, request: Request, response: Response) -> None:
        """Called when the user was erased; a style without sign-in makes the browser a new user."""

    def user_id_of(self, name: str) -> str:
        """The id of the user whom an operator calls by this name, which may be the id."""
        return name

    def own_data_routes(self, own: OwnData) -> Sequence[APIRouter]:
        """Pages where users export and erase their data, for a style that signs them in here."""
        return ()

    async def sample_credentials(self, user_id: str) -> dict[str, str]:
        """Request headers that sign `user_id` in, made with the secrets of this process.

        For the smoke test and the test suite; no route calls it. Raises ValueError if only another
        service, such as an identity provider, can issue credentials.
        """
        raise ValueError(f"{self.name}: only another service can issue credentials.")

    async def close(self) -> None:
        """Close the connections of the style."""


# The `sign_in` of `Chat`: a class of this kind, or a function that creates one.
SignIn = Callable[[Settings, Database], Authenticator]
