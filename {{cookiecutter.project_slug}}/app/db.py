"""The database: naming, engine, and one short transaction at a time."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import Executable, MetaData, Row, Select, func, select
from sqlalchemy.dialects.postgresql.asyncpg import dialect
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from app.config import Settings

logger = logging.getLogger(__name__)

TABLE_PREFIX = "{{ cookiecutter.table_prefix }}"
VERSION_TABLE = f"{TABLE_PREFIX}alembic_version"

# In place of an owner, for what looks after the rows of all of them.
EVERYBODY = None

# Who owns the rows that belong to the project itself, and are read in answer to anybody. Nobody can
# sign in as this.
PROJECT = "project:"

# What row-level security looks at: in whose name a transaction runs.
OWNER_SETTING = f"{TABLE_PREFIX}app.owner"
EVERYBODY_SETTING = f"{TABLE_PREFIX}app.everybody"

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 30
LONGEST_PAUSE = 1.0

# A statement without a name is parsed again by asyncpg along with its parameters, so it needs
# nothing of what the server remembers, and leaves nothing behind there.
UNPREPARED = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}

# SQLSTATE classes and codes of a server that is away or swamped, and may be back soon:
# connection lost, no resources left, shutting down or starting up, read-only after a failover.
AWAY = ("08", "53", "57P", "25006")

# Beside a statement's columns: its commit does not wait for the disk, which is most of a write's
# time. Should PostgreSQL itself crash within the next second, the write may be lost; the next
# write that waits, whoever's it is, makes it safe.
WITHOUT_WAITING = func.set_config("synchronous_commit", "off", True).label("without_waiting")

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
    All of it raises `DatabaseAway` when the server cannot be reached. With `row_level_security`
    the server is told that name, in one statement more for each transaction. With
    `transaction_pooler`, two transactions of a connection may meet different servers.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        patience_seconds: float = 15,
        row_level_security: bool = False,
        transaction_pooler: bool = False,
    ) -> None:
        self._patience_seconds = patience_seconds
        self._row_level_security = row_level_security
        self.engine = create_async_engine(
            url,
            pool_size=pool_size,
            max_overflow=0,
            connect_args={
                "timeout": CONNECT_SECONDS,
                "command_timeout": STATEMENT_SECONDS,
                **(UNPREPARED if transaction_pooler else {}),
            },
            # Errors are logged, and parameters are what people said.
            hide_parameters=True,
        )
        # A single statement needs neither BEGIN nor COMMIT, which would be two more round trips.
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @classmethod
    def from_settings(cls, settings: Settings, url: str) -> "Database":
        """The one at `url`, which the settings may leave to the embedded server."""
        return cls(
            url,
            pool_size=settings.database_pool_size,
            patience_seconds=settings.database_patience_seconds,
            row_level_security=settings.row_level_security,
            transaction_pooler=settings.transaction_pooler,
        )

    async def fetch(
        self,
        owner: str | None,
        statement: Executable,
        parameters: Mapping[str, Any] | None = None,
        *,
        patient: bool = False,
    ) -> Sequence[Row[Any]]:
        """The rows of one statement, which may be a write if doing it twice does no harm.

        It is tried again when a connection turns out to be dead; with `patient`, for as long as
        `patience_seconds` while the server is away.
        """

        async def execute() -> Sequence[Row[Any]]:
            async with self._connect_for_one(owner) as connection:
                result = await connection.execute(statement, parameters)
                return result.all() if result.returns_rows else ()

        return await self._insist(execute, patient)

    async def write(
        self, owner: str | None, *statements: Executable, patient: bool = False
    ) -> None:
        """All of the statements or none, tried again like `fetch`."""

        async def execute() -> None:
            async with self._begin(owner) as connection:
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
            async with self._begin(owner) as connection:
                yield connection
        except Exception as error:
            _raise_if_away(error)
            raise

    async def dispose(self) -> None:
        await self.engine.dispose()

    def _connect_for_one(self, owner: str | None) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._begin(owner) if self._row_level_security else self._autocommit.connect()

    @asynccontextmanager
    async def _begin(self, owner: str | None) -> AsyncIterator[AsyncConnection]:
        async with self.engine.begin() as connection:
            if self._row_level_security:
                await connection.execute(in_the_name_of(owner))
            yield connection

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


def connect_options(url: str) -> dict[str, Any]:
    """The arguments of `asyncpg.connect`, for a connection of asyncpg's own to that database."""
    # (SQLAlchemy has no types for its dialects.)
    _, options = dialect().create_connect_args(make_url(url))  # type: ignore[no-untyped-call]
    return dict(options)


def in_the_name_of(owner: str | None) -> Select[Any]:
    """The statement that says so to row-level security, until the transaction ends."""
    if owner is EVERYBODY:
        return select(func.set_config(EVERYBODY_SETTING, "on", True))
    return select(func.set_config(OWNER_SETTING, owner, True))


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
    logger.error("the database is away: %s: %s", type(cause).__name__, str(cause))
    raise DatabaseAway("The database is not reachable right now.") from error
