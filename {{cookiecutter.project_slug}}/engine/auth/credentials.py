"""Credentials of sample users, for the smoke test and the test suites."""

from collections.abc import Iterable

from sqlalchemy import delete
from sqlalchemy.exc import ProgrammingError

from engine.auth.base import SignIn
from engine.database.database import EVERYBODY, Database
from engine.database.rows import UserRow
from engine.settings.settings import Settings

UNDEFINED_TABLE = "42P01"


async def sample_credentials(
    settings: Settings, user_ids: Iterable[str], sign_in: SignIn
) -> list[dict[str, str]]:
    """Request headers that sign each of them in, with the secrets and the database of `settings`."""
    assert settings.database_url is not None
    database = Database.from_settings(settings, settings.database_url)
    authenticator = sign_in(settings, database)
    try:
        return [await authenticator.sample_credentials(user_id) for user_id in user_ids]
    finally:
        await authenticator.close()
        await database.dispose()


async def delete_samples(database_url: str, user_ids: Iterable[str]) -> None:
    """Delete them with all that is theirs."""
    database = Database(database_url, transaction_pooler=True)
    try:
        await database.write(EVERYBODY, delete(UserRow).where(UserRow.id.in_(user_ids)))
    except ProgrammingError as error:
        if getattr(error.orig, "sqlstate", "") != UNDEFINED_TABLE:  # that of what is not migrated
            raise
    finally:
        await database.dispose()
