"""The entry point of Alembic; `engine.database.migrating` does the work."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from alembic.util import CommandError
from pydantic import ValidationError

from engine.database import migrating
from engine.database.database import DatabaseUnreachable, new_engine, raising_unreachable
from engine.operate.start import problems
from engine.settings.settings import Settings


def main() -> None:
    if context.is_offline_mode():
        migrating.configure("app", dialect_name="postgresql", literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
    elif (connection := context.config.attributes.get("connection")) is not None:
        migrating.run(connection, "app")
    else:
        with _errors_in_one_line(), _database_url() as url:
            asyncio.run(_connect_and_run(url))


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    """Raise CommandError, which `alembic` prints as one line; other errors have a traceback."""
    try:
        yield
    except ValidationError as error:
        raise CommandError(" ".join(problems(error))) from error
    except DatabaseUnreachable as error:
        raise CommandError(
            f"The database does not answer: {error.__cause__}. Check DATABASE_URL."
        ) from error


@contextmanager
def _database_url() -> Iterator[str]:
    settings = Settings()
    if settings.database_url is not None:
        # Migrations need one server connection, which a transaction pooler does not guarantee.
        yield settings.database_direct_url or settings.database_url
        return
    # Imported here because `dev` is not installed where the application is deployed.
    from dev.database import running_database

    with running_database(settings) as url:
        yield url


async def _connect_and_run(url: str) -> None:
    engine = new_engine(url)
    try:
        with raising_unreachable():
            if context.config.attributes.get("in_one_transaction"):
                async with engine.begin() as connection:
                    await connection.run_sync(migrating.run, "app")
            else:
                async with engine.connect() as connection:
                    await connection.run_sync(migrating.run, "app")
    finally:
        await engine.dispose()


main()
