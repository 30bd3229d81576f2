"""What every auth style is: a request in, a user or a refusal out."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from fastapi import APIRouter, Request, Response

from engine.context.shared_limits import SharedLimits
from engine.database.database import Database
from engine.settings.settings import Settings

MAX_USER_ID_LENGTH = 255


@dataclass(frozen=True)
class User:
    """Somebody who proved who they are. `id` owns their rows: 1 to 255 characters, no NUL.

    `name` is what the page calls them, where the style knows. `address` is a keyed hash of where
    they are, where limits hold for an address too. `sign_in` is the id of their session, where
    there are sessions: what it gave out ends with it, see `is_signed_in`.
    """

    id: str
    name: str | None = None
    address: str | None = None
    sign_in: str | None = None


class SignInPages(Protocol):
    """The pages of a style that signs users in here, as paths on this server."""

    router: APIRouter
    sign_in: str
    sign_out: str  # takes a POST with the field `form_token`
    windows: tuple[str, ...]  # where the paths begin that a window opens to sign in
    account: str | None  # where users look after their account

    def form_token(self, request: Request) -> str:
        """What a form of this browser has to carry, so that no other site's is taken for it."""
        ...


class Authenticator:
    """One way to sign in, built once per process. Your own has to say `authenticate`.

    `__init__` raises ValueError when its settings are unusable. `checks_origin` is True where a
    browser adds by itself what signs the user in, such as a cookie: requests from pages of other
    sites are refused then. `pages` are where users sign in, if they do it here; `shared_limits`
    hold where anybody can be a new user at any time.
    """

    name: str
    checks_origin: bool = False
    pages: SignInPages | None = None
    shared_limits: SharedLimits | None = None

    def __init__(self, settings: Settings, database: Database) -> None:
        """Styles read settings of their own."""

    async def authenticate(self, request: Request) -> User:
        """Return the request's user, or raise `Unauthenticated` saying what is missing."""
        raise NotImplementedError

    async def is_signed_in(self, user_id: str, sign_in: str) -> bool:
        """True while what a user was given in that session still counts."""
        return True

    def visit(self, request: Request, response: Response) -> None:
        """Called when the page is opened: a style that needs no sign-in may set its cookie."""

    async def sample_credentials(self, user_id: str) -> dict[str, str]:
        """Request headers that sign `user_id` in, made with this process's own secrets.

        For the smoke test and the test suite; no route leads here. Raises ValueError when the
        credentials come from somebody else (an identity provider).
        """
        raise ValueError(f"{self.name}: nobody can be signed in without asking somebody else.")

    async def close(self) -> None:
        """Release what the style holds open."""


# What the application hands in: such a class, or a function that builds one.
SignIn = Callable[[Settings, Database], Authenticator]
