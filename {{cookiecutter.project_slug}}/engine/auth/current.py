"""The current user as a dependency of routes: `user: Annotated[User, Depends(signed_in)]`."""

from collections.abc import Awaitable, Callable

from fastapi import Request

from engine.auth.base import Authenticator, User
from engine.database.database import ERASED_OWNER, PROJECT_OWNER
from engine.http.errors import Unauthenticated

SignedIn = Callable[[Request], Awaitable[User]]


def signed_in_by(authenticator: Authenticator) -> SignedIn:
    """A dependency that returns the current user or raises `Unauthenticated`.

    It returns and does not yield: FastAPI keeps a dependency that yields open until the end of a
    streamed response.
    """

    async def signed_in(request: Request) -> User:
        user = await authenticator.authenticate(request)
        request.state.user_id = user.id
        if user.id in (PROJECT_OWNER, ERASED_OWNER):
            raise Unauthenticated("This user id is reserved.")
        return user

    return signed_in
