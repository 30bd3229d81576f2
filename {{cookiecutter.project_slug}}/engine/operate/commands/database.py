"""What a command does with the database: connect, act, disconnect."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.database.database import Database
    from engine.settings.settings import Settings


def with_database(act: "Callable[[Database], Awaitable[int]]") -> int:
    """The exit code that `act` returns, or 1 after printing why it could not be done."""
    from engine.database.database import DatabaseAway
    from engine.http.errors import AppError
    from engine.settings.settings import Settings

    settings = Settings()
    try:
        with _database_url(settings) as url:
            return asyncio.run(_connect_and_act(settings, url, act))
    except AppError as error:
        print(error.message)
    except DatabaseAway as error:
        print(error)
    return 1


async def _connect_and_act(
    settings: "Settings", url: str, act: "Callable[[Database], Awaitable[int]]"
) -> int:
    from engine.database.database import Database

    database = Database.from_settings(settings, url)
    try:
        return await act(database)
    finally:
        await database.dispose()


@contextmanager
def _database_url(settings: "Settings") -> Iterator[str]:
    if settings.database_url is not None:
        yield settings.database_url
        return
    # Only here: what serves development is not installed where the application is deployed.
    from dev.database import running_database

    with running_database(settings) as url:
        yield url
