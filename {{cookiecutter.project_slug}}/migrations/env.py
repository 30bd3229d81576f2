"""The entry point of Alembic. It handles the tables of this project only."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from alembic import context
from alembic.util import CommandError
from pydantic import ValidationError
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from engine.database import row_security
from engine.database.database import (
    EVERYBODY,
    TABLE_PREFIX,
    VERSION_TABLE,
    DatabaseUnreachable,
    new_engine,
    raising_unreachable,
    set_owner,
)
from engine.database.migrations import migration_error
from engine.database.server_check import SERVER_QUERY, server_problem
from engine.database.tables import import_rows, metadata
from engine.operate.start import problems
from engine.settings.settings import Settings


def main() -> None:
    if context.is_offline_mode():
        _configure(dialect_name="postgresql", literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
    elif (connection := context.config.attributes.get("connection")) is not None:
        _run(connection)
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
            async with engine.begin() as connection:
                await connection.run_sync(_run)
    finally:
        await engine.dispose()


def _run(connection: Connection) -> None:
    """Raises `CommandError` if the server or a migration is not usable; then nothing is applied."""
    if problem := server_problem(connection.execute(text(SERVER_QUERY)).mappings().one()):
        raise CommandError(problem)
    try:
        # With a savepoint, the connection can still be queried after a migration has failed.
        with connection.begin_nested():
            _migrate(connection)
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        raise CommandError(str(migration_error(error, connection))) from error


def _migrate(connection: Connection) -> None:
    _configure(connection=connection, include_name=_ours(_longer_prefixes(connection)))
    # Migrations may change the rows of all owners.
    connection.execute(set_owner(EVERYBODY))
    with context.begin_transaction():
        context.run_migrations()
        if _changes_schema():
            apply = row_security.enable if Settings().row_level_security else row_security.disable
            apply(connection)


def _changes_schema() -> bool:
    """True for upgrade and downgrade; false for commands that only read."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True


def _configure(**options: Any) -> None:
    import_rows("app")
    context.configure(
        target_metadata=metadata(),
        version_table=VERSION_TABLE,
        compare_server_default=True,
        **options,
    )


def _ours(longer_prefixes: tuple[str, ...]) -> Callable[[str | None, str, object], bool]:
    declared = metadata().tables  # a table of the project's own may lack the prefix

    def is_ours(name: str | None, kind: str, _parents: object) -> bool:
        if kind != "table" or name is None:
            return True
        is_prefixed = name.startswith(TABLE_PREFIX) and not name.startswith(longer_prefixes)
        return is_prefixed or name in declared

    return is_ours


def _longer_prefixes(connection: Connection) -> tuple[str, ...]:
    """Prefixes of other projects that begin with this project's, found by their version tables."""
    ending = VERSION_TABLE.removeprefix(TABLE_PREFIX)
    return tuple(
        name.removesuffix(ending)
        for name in inspect(connection).get_table_names()
        if name.startswith(TABLE_PREFIX) and name.endswith(ending) and name != VERSION_TABLE
    )


main()
