"""`CurrentUser`: who is asking, as a dependency of a route."""

from typing import Annotated

from fastapi import Depends, Request

from engine.auth.base import Authenticator, User
from engine.database.database import PROJECT
from engine.http.errors import Unauthenticated


async def current_user(request: Request) -> User:
    """Raises `Unauthenticated`. It returns and does not yield: FastAPI would keep a dependency
    that yields open until the last byte of a stream has left.
    """
    authenticator: Authenticator = request.app.state.authenticator
    user = await authenticator.authenticate(request)
    request.state.user_id = user.id
    if user.id == PROJECT:
        raise Unauthenticated("Nobody can sign in as this.")
    return user


CurrentUser = Annotated[User, Depends(current_user)]
