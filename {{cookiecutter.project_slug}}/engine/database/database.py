"""The database: naming, engine, and one short transaction at a time."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import ExceptionContext, Executable, MetaData, Row, Select, event, func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase

from engine.settings.database_url import connect_options
from engine.settings.settings import Settings

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
POOL_SECONDS = 30
LONGEST_PAUSE = 1.0

# Of the pool, one connection in five takes reads alone. Writes hang for as long as a synchronous
# standby is away; without this share, reads would wait behind them.
READ_SHARE = 5

# A statement without a name is parsed again by asyncpg along with its parameters, so it needs
# nothing of what the server remembers, and leaves nothing behind there.
UNPREPARED = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}

# SQLSTATE classes and codes of a server that is away or swamped, and may be back soon:
# connection lost, no resources left, shutting down or starting up, read-only after a failover.
READ_ONLY = "25006"
AWAY = ("08", "53", "57P", READ_ONLY)

# Beside a statement's columns: its commit does not wait for the disk, which is most of a write's
# time. Should PostgreSQL itself crash within the next second, the write may be lost; the next
# write that waits, whoever's it is, makes it safe.
#
# It stands in the list of the outermost SELECT, over CTEs that write: Citus allows no such function
# in RETURNING. (`engine/tests/citus_rules.py`)
ASYNC_COMMIT = func.set_config("synchronous_commit", "off", True).label("async_commit")

NOTHING: Mapping[str, Any] = {}

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
        retry_seconds: float = 15,
        row_level_security: bool = False,
        transaction_pooler: bool = False,
    ) -> None:
        self._retry_seconds = retry_seconds
        self._row_level_security = row_level_security
        self.engine = new_engine(
            url,
            {
                "command_timeout": STATEMENT_SECONDS,
                **(UNPREPARED if transaction_pooler else {}),
            },
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_SECONDS,
        )
        event.listen(self.engine.sync_engine, "handle_error", _leave_read_only_server)
        self._writers = asyncio.Semaphore(pool_size - connections_for_reads(pool_size))
        # A single statement needs neither BEGIN nor COMMIT, which would be two more round trips.
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @classmethod
    def from_settings(cls, settings: Settings, url: str) -> "Database":
        """The one at `url`, which the settings may leave to the embedded server."""
        return cls(
            url,
            pool_size=settings.database_pool_size,
            retry_seconds=settings.database_patience_seconds,
            row_level_security=settings.row_level_security,
            transaction_pooler=settings.transaction_pooler,
        )

    async def fetch(
        self,
        owner: str | None,
        statement: Executable,
        parameters: Mapping[str, Any] | None = None,
        *,
        retry: bool = False,
    ) -> Sequence[Row[Any]]:
        """The rows of one statement, which may be a write if doing it twice does no harm.

        It is tried again when a connection turns out to be dead; with `retry`, for as long as
        `retry_seconds` while the server is away.
        """

        async def execute() -> Sequence[Row[Any]]:
            async with self._place_for_a_write():
                return await self._execute(owner, statement, parameters)

        return await self._retry(execute, retry)

    async def read(
        self, owner: str | None, statement: Executable, *, retry: bool = False
    ) -> Sequence[Row[Any]]:
        """The rows of a statement that writes nothing; it does not wait behind those that do."""
        return await self._retry(lambda: self._execute(owner, statement), retry)

    async def write(
        self, owner: str | None, *statements: Executable, retry: bool = False
    ) -> None:
        """All of the statements or none, tried again like `fetch`."""

        async def execute() -> None:
            async with self._place_for_a_write(), self._begin(owner) as connection:
                for statement in statements:
                    await connection.execute(statement)

        if len(statements) == 1:
            await self.fetch(owner, statements[0], retry=retry)
        else:
            await self._retry(execute, retry)

    @asynccontextmanager
    async def transaction(self, owner: str | None) -> AsyncIterator[AsyncConnection]:
        """Several statements that depend on each other; tried once."""
        with away_is_raised():
            async with self._place_for_a_write(), self._begin(owner) as connection:
                yield connection

    @asynccontextmanager
    async def reading(self, owner: str | None) -> AsyncIterator[AsyncConnection]:
        """A transaction that writes nothing; it does not wait behind those that do."""
        with away_is_raised():
            async with self._begin(owner) as connection:
                yield connection

    async def renew(self) -> None:
        """Connect anew from now on: the server at the other end is not the one to talk to."""
        await self.engine.dispose()

    async def dispose(self) -> None:
        await self.engine.dispose()

    async def _execute(
        self, owner: str | None, statement: Executable, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        async with self._connect_for_one(owner) as connection:
            result = await connection.execute(statement, parameters)
            return result.all() if result.returns_rows else ()

    @asynccontextmanager
    async def _place_for_a_write(self) -> AsyncIterator[None]:
        """Raises TimeoutError when all of them are taken for too long."""
        async with asyncio.timeout(POOL_SECONDS):
            await self._writers.acquire()
        try:
            yield
        finally:
            self._writers.release()

    def _connect_for_one(self, owner: str | None) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._begin(owner) if self._row_level_security else self._autocommit.connect()

    @asynccontextmanager
    async def _begin(self, owner: str | None) -> AsyncIterator[AsyncConnection]:
        async with self.engine.begin() as connection:
            if self._row_level_security:
                await connection.execute(in_the_name_of(owner))
            yield connection

    async def _retry(self, attempt: Callable[[], Awaitable[T]], retry: bool) -> T:
        deadline = time.monotonic() + (self._retry_seconds if retry else 0)
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


def new_engine(url: str, connect_args: Mapping[str, Any] = NOTHING, **options: Any) -> AsyncEngine:
    """The engine of every part that has one. Raises `InvalidUrl`."""
    return create_async_engine(
        "postgresql+asyncpg://",  # the rest is said in the arguments
        connect_args={**connect_options(url, seconds=CONNECT_SECONDS), **connect_args},
        # Errors are logged, and parameters are what people said.
        hide_parameters=True,
        **options,
    )


def connections_for_reads(pool_size: int) -> int:
    """How many connections of a pool are never taken by writes; none of a pool of one."""
    return max(1, pool_size // READ_SHARE) if pool_size > 1 else 0


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
    # (OSError: refused, no such host or socket, timed out. InternalClientError: of several hosts,
    # none is what `target_session_attrs` asks for.)
    if isinstance(
        error, OSError | PoolTimeout | asyncpg.InterfaceError | asyncpg.InternalClientError
    ):
        return True
    return _sqlstate(error).startswith(AWAY)


def _sqlstate(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""


def _leave_read_only_server(context: ExceptionContext) -> None:
    """After a failover, a connection to what is a standby now would refuse each write for good.

    All connections of the pool are made anew, as if the server had closed this one.
    """
    if _sqlstate(context.original_exception) == READ_ONLY:
        context.is_disconnect = True


@contextmanager
def away_is_raised() -> Iterator[None]:
    """`DatabaseAway`, in place of what drivers and sockets raise."""
    try:
        yield
    except Exception as error:
        _raise_if_away(error)
        raise


def _raise_if_away(error: Exception) -> None:
    if not is_away(error):
        return
    cause = error.orig if isinstance(error, DBAPIError) else error
    logger.error("the database is away: %s: %s", type(cause).__name__, str(cause))
    raise DatabaseAway("The database is not reachable right now.") from error
