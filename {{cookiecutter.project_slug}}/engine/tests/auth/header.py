"""A minimal auth style, for tests that apply to all styles."""

from fastapi import Request

from engine.auth.base import Authenticator, User
from engine.http.errors import Unauthenticated


class HeaderAuth(Authenticator):
    """Trusts a header of any client. For tests only."""

    name = "header"

    async def authenticate(self, request: Request) -> User:
        if "X-User" not in request.headers:
            raise Unauthenticated("nobody")
        return User(id=request.headers["X-User"])

    async def sample_credentials(self, user_id: str) -> dict[str, str]:
        return {"X-User": user_id}
