"""Sign-in with a name and a password, on pages of this server."""

from collections.abc import Sequence

from fastapi import APIRouter

from engine.auth.base import OwnData
from engine.auth.password.accounts import Accounts, AccountSettings, normalized_name
from engine.auth.password.pages import AccountPages
from engine.auth.password.rows import is_user_id, user_id_of
from engine.auth.sessions.own_data import OwnDataPages
from engine.auth.sessions.sessions import SessionAuth, Sessions, SessionSettings
from engine.database.database import Database
from engine.settings.settings import Settings

OPEN = (
    "EVERYBODY who can open the page: sign-up is open, so that anybody can create an account. "
    "SIGN_UP=closed in .env ends that"
)
CLOSED = (
    "users with an account only: sign-up is closed. "
    "To create the first account: python3 -m app users add NAME"
)


class PasswordAuth(SessionAuth):
    name = "password"

    def __init__(
        self,
        settings: Settings,
        database: Database,
        account_settings: AccountSettings | None = None,
        session_settings: SessionSettings | None = None,
    ) -> None:
        sessions = Sessions(database, session_settings)
        super().__init__(sessions)
        accounts = Accounts(database, account_settings, settings.application_name)
        self.pages = AccountPages(settings, accounts, sessions)
        self.lets_in = OPEN if accounts.is_open else CLOSED
        self._settings = settings
        self._accounts = accounts

    def own_data_routes(self, own: OwnData) -> Sequence[APIRouter]:
        confirm = self._accounts.check_password
        return (OwnDataPages(self._settings, self.sessions, own, confirm).router,)

    def user_id_of(self, name: str) -> str:
        return name if is_user_id(name) else user_id_of(normalized_name(name))
