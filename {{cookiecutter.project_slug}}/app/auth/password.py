"""Sign-in here: accounts with a name and a password, on pages of this server."""

from fastapi import Request, Response

from app.auth.account_pages import AccountPages
from app.auth.accounts import Accounts, AccountSettings
from app.auth.base import User
from app.auth.sessions import Sessions, SessionSettings
from app.config import Settings
from app.db import Database


class PasswordAuth:
    name = "password"

    def __init__(
        self,
        settings: Settings,
        database: Database,
        account_settings: AccountSettings | None = None,
        session_settings: SessionSettings | None = None,
    ) -> None:
        self._sessions = Sessions(database, session_settings)
        accounts = Accounts(database, account_settings)
        self.pages = AccountPages(settings, accounts, self._sessions)

    async def authenticate(self, request: Request) -> User:
        session = await self._sessions.authenticate(request)
        return User(session.user_id, session.name)

    def visit(self, request: Request, response: Response) -> None:
        pass

    async def sample_credentials(self, user_id: str) -> dict[str, str]:
        return await self._sessions.sample_credentials(user_id)

    async def close(self) -> None:
        pass
