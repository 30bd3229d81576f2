"""Credentials of whoever is asked for, for the smoke test and the test suites."""

from collections.abc import Iterable

from engine.auth.base import SignIn
from engine.database.database import Database
from engine.settings.settings import Settings


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
