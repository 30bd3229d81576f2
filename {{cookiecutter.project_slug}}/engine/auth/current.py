"""The current user as a dependency of routes: `user: Annotated[User, Depends(signed_in)]`."""

from collections.abc import Awaitable, Callable

from fastapi import Request

from engine.auth.base import Authenticator, User, user_key
from engine.database.database import ERASED_OWNER, PROJECT_OWNER
from engine.http.errors import AppError, Unauthenticated
from engine.telemetry.ids import current_user_id

SignedIn = Callable[[Request], Awaitable[User]]

# A page sends the key of the user that it was opened for.
USER_HEADER = "X-Chat-User"


class UserChanged(AppError):
    """The browser's credentials are another user's than those of the page, which then reloads."""

    status = 409
    code = "user_changed"


def signed_in_by(authenticator: Authenticator) -> SignedIn:
    """A dependency that returns the current user or raises `Unauthenticated` or `UserChanged`.

    It returns and does not yield: FastAPI keeps a dependency that yields open until the end of a
    streamed response.
    """

    async def signed_in(request: Request) -> User:
        user = await authenticator.authenticate(request)
        request.state.user_id = user.id
        current_user_id.set(user.id)
        if user.id in (PROJECT_OWNER, ERASED_OWNER):
            raise Unauthenticated("This user id is reserved.")
        if request.headers.get(USER_HEADER, user_key(user)) != user_key(user):
            raise UserChanged("Another user is signed in now. Reload the page.")
        return user

    return signed_in
