"""Who is asking, as a dependency of routes: `user: Annotated[User, Depends(signed_in)]`."""

from collections.abc import Awaitable, Callable

from fastapi import Request

from engine.auth.base import Authenticator, User
from engine.database.database import PROJECT_OWNER
from engine.http.errors import Unauthenticated

SignedIn = Callable[[Request], Awaitable[User]]


def signed_in_by(authenticator: Authenticator) -> SignedIn:
    """The dependency raises `Unauthenticated`. It returns and does not yield: FastAPI would keep a
    dependency that yields open until the last byte of a stream has left.
    """

    async def signed_in(request: Request) -> User:
        user = await authenticator.authenticate(request)
        request.state.user_id = user.id
        if user.id == PROJECT_OWNER:
            raise Unauthenticated("Nobody can sign in as this.")
        return user

    return signed_in
