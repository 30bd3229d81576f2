"""The database: naming, engine, and one short transaction at a time."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import Executable, MetaData, Row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.orm import DeclarativeBase

logger = logging.getLogger(__name__)

TABLE_PREFIX = "{{ cookiecutter.table_prefix }}"
VERSION_TABLE = f"{TABLE_PREFIX}alembic_version"

# In place of an owner, for what looks after the rows of all of them.
EVERYBODY = None

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 30
LONGEST_PAUSE = 1.0

# SQLSTATE classes and codes of a server that is away or swamped, and may be back soon:
# connection lost, no resources left, shutting down or starting up, read-only after a failover.
AWAY = ("08", "53", "57P", "25006")

T = TypeVar("T")


class Base(DeclarativeBase):
    # PostgreSQL's own names for constraints. They begin with the table's name, hence with the
    # prefix, so that two projects can share a database.
    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )


class DatabaseAway(Exception):
    """PostgreSQL is down, restarting, out of resources, or cannot be reached from here."""


class Database:
    """One engine per process. Nothing holds a connection for longer than one transaction.

    Everything is done in the name of an owner: a user's id, or `EVERYBODY` for maintenance.
    All of it raises `DatabaseAway` when the server cannot be reached.
    """

    def __init__(self, url: str, *, pool_size: int = 10, patience_seconds: float = 15) -> None:
        self._patience_seconds = patience_seconds
        self.engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            connect_args={"timeout": CONNECT_SECONDS, "command_timeout": STATEMENT_SECONDS},
            # Errors are logged, and parameters are what people said.
            hide_parameters=True,
        )
        # A single statement needs neither BEGIN nor COMMIT, which would be two more round trips.
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    async def fetch(
        self, owner: str | None, statement: Executable, *, patient: bool = False
    ) -> Sequence[Row[Any]]:
        """The rows of one statement, which may be a write if doing it twice does no harm.

        It is tried again when a connection turns out to be dead; with `patient`, for as long as
        `patience_seconds` while the server is away.
        """

        async def execute() -> Sequence[Row[Any]]:
            async with self._autocommit.connect() as connection:
                result = await connection.execute(statement)
                return result.all() if result.returns_rows else ()

        return await self._insist(execute, patient)

    async def write(
        self, owner: str | None, *statements: Executable, patient: bool = False
    ) -> None:
        """All of the statements or none, tried again like `fetch`."""

        async def execute() -> None:
            async with self.engine.begin() as connection:
                for statement in statements:
                    await connection.execute(statement)

        if len(statements) == 1:
            await self.fetch(owner, statements[0], patient=patient)
        else:
            await self._insist(execute, patient)

    @asynccontextmanager
    async def transaction(self, owner: str | None) -> AsyncIterator[AsyncConnection]:
        """Several statements that depend on each other; tried once."""
        try:
            async with self.engine.begin() as connection:
                yield connection
        except Exception as error:
            _raise_if_away(error)
            raise

    async def dispose(self) -> None:
        await self.engine.dispose()

    async def _insist(self, attempt: Callable[[], Awaitable[T]], patient: bool) -> T:
        deadline = time.monotonic() + (self._patience_seconds if patient else 0)
        pause = 0.0
        while True:
            try:
                return await attempt()
            except Exception as error:
                # The first pause is none: one dead connection empties the pool of its like.
                if not is_away(error) or (pause and time.monotonic() + pause > deadline):
                    _raise_if_away(error)
                    raise
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, 0.1), LONGEST_PAUSE)


def is_away(error: BaseException) -> bool:
    """True when the server did not answer; false when it refused the statement."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = error.orig or error
    # (OSError: refused, no such host or socket, timed out.)
    if isinstance(error, OSError | PoolTimeout | asyncpg.InterfaceError):
        return True
    return (getattr(error, "sqlstate", None) or "").startswith(AWAY)


def _raise_if_away(error: Exception) -> None:
    if not is_away(error):
        return
    cause = error.orig if isinstance(error, DBAPIError) else error
    logger.error("the database is away: %s: %s", type(cause).__name__, cause)
    raise DatabaseAway("The database is not reachable right now.") from error
