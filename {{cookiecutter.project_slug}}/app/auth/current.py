"""`CurrentUser`: who is asking, as a dependency of a route."""

from typing import Annotated

from fastapi import Depends, Request

from app.auth.base import Authenticator, User


async def current_user(request: Request) -> User:
    """Raises `Unauthenticated`. It returns and does not yield: FastAPI would keep a dependency
    that yields open until the last byte of a stream has left.
    """
    authenticator: Authenticator = request.app.state.authenticator
    return await authenticator.authenticate(request)


CurrentUser = Annotated[User, Depends(current_user)]
