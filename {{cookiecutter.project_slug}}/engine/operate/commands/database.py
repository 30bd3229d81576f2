"""The database connection of a command."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.database.database import Database
    from engine.settings.settings import Settings


def with_database(act: "Callable[[Database], Awaitable[int]]") -> int:
    """The exit code that `act` returns, or 1 after printing an error."""
    from engine.database.database import DatabaseUnreachable
    from engine.http.errors import AppError
    from engine.settings.settings import Settings

    try:
        return asyncio.run(_connect_and_act(Settings(), database_url(), act))
    except AppError as error:
        print(error.message)
    except DatabaseUnreachable as error:
        print(error)
    return 1


def database_url() -> str:
    """The value of DATABASE_URL. Raises `UnusableSettings` if it is not set."""
    from engine.settings.settings import Settings, UnusableSettings

    url = Settings().database_url
    if url is None:
        raise UnusableSettings(
            "DATABASE_URL is not set. Set it to postgresql://user:password@host/name."
        )
    return url


async def _connect_and_act(
    settings: "Settings", url: str, act: "Callable[[Database], Awaitable[int]]"
) -> int:
    from engine.database.database import Database

    database = Database.from_settings(settings, url)
    try:
        return await act(database)
    finally:
        await database.dispose()
