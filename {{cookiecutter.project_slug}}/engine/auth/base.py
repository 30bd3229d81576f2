"""What every auth style is: a request in, a user or a refusal out."""

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


class Authenticator(Protocol):
    """One style. Built once per process; raises ValueError when its settings are unusable."""

    name: str
    # True where a browser adds by itself what signs the user in, such as a cookie.
    checks_origin: bool

    def __init__(self, settings: Settings, database: Database) -> None: ...

    @property
    def pages(self) -> SignInPages | None:
        """Where users sign in, if they do it here."""
        ...

    @property
    def shared_limits(self) -> SharedLimits | None:
        """Where anybody can be a new user at any time, the limits that hold nevertheless."""
        ...

    async def authenticate(self, request: Request) -> User:
        """Return the request's user, or raise `Unauthenticated` saying what is missing."""
        ...

    async def is_signed_in(self, user_id: str, sign_in: str) -> bool:
        """Whether what a user was given in that session still counts."""
        ...

    def visit(self, request: Request, response: Response) -> None:
        """Called when the page is opened: a style that needs no sign-in may set its cookie."""
        ...

    async def sample_credentials(self, user_id: str) -> dict[str, str]:
        """Request headers that sign `user_id` in, made with this process's own secrets.

        For the smoke test and the test suite; no route leads here. Raises ValueError when the
        credentials come from somebody else (an identity provider).
        """
        ...

    async def close(self) -> None:
        """Release what the style holds open."""
        ...
