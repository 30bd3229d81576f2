"""The database: names of tables and constraints, the engine, and short transactions."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from typing import Any, TypedDict, TypeVar, Unpack

import asyncpg
from sqlalchemy import ExceptionContext, Executable, MetaData, Row, event, func
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.sql.compiler import Compiled, SQLCompiler
from sqlalchemy.sql.elements import ClauseElement

from engine.settings.database_url import connect_options
from engine.settings.settings import Settings
from engine.telemetry.measures import waiting_for_connection

logger = logging.getLogger(__name__)

TABLE_PREFIX = "{{ cookiecutter.table_prefix }}"
VERSION_TABLE = f"{TABLE_PREFIX}alembic_version"

# Passed as the owner by maintenance code, which sees the rows of all owners.
EVERYBODY = None

# Owns the rows that belong to the project itself and are read for every user. No user can sign in
# with this id.
PROJECT_OWNER = "project:"

# Owns the numbers that are left of erased users, all in one. No user can sign in with this id.
ERASED_OWNER = "erased:"

# The settings of a transaction that the policies of row-level security read.
OWNER_SETTING = f"{TABLE_PREFIX}app.owner"
EVERYBODY_SETTING = f"{TABLE_PREFIX}app.everybody"

CONNECT_SECONDS = 10
STATEMENT_SECONDS = 30
POOL_SECONDS = 30
MAX_PAUSE_SECONDS = 1.0

# One connection in five is reserved for reads. Writes wait while a synchronous standby is down;
# without this share, reads would wait behind them.
READ_SHARE = 5

# For poolers that give each transaction another server connection. asyncpg sends an unnamed
# statement together with its parameters, so that it depends on no state of the server connection.
NO_PREPARED_STATEMENTS = {
    "statement_cache_size": 0,
    "prepared_statement_cache_size": 0,
    "prepared_statement_name_func": lambda: "",
}

# SQLSTATE classes and codes of a server that is unreachable or overloaded for a while: connection
# lost, out of resources, shutting down or starting up, read-only after a failover.
READ_ONLY_STATE = "25006"
UNREACHABLE = ("08", "53", "57P", READ_ONLY_STATE)

# A column to add to a statement: its commit does not wait for the disk, which takes most of the
# time of a write. If PostgreSQL crashes within the next second, the write may be lost. The next
# commit that does wait, of any transaction, makes it durable too.
#
# It belongs in the outermost SELECT, over CTEs that write: Citus refuses volatile functions in
# RETURNING (`engine/tests/citus_rules.py`).
ASYNC_COMMIT = func.set_config("synchronous_commit", "off", True).label("async_commit")

NO_ARGUMENTS: Mapping[str, Any] = {}

T = TypeVar("T")


class Base(DeclarativeBase):
    # PostgreSQL's default names for constraints. They begin with the table's name and therefore
    # with the prefix, so that two projects can share a database.
    metadata = MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "uq": "%(table_name)s_%(column_0_N_name)s_key",
            "ix": "%(table_name)s_%(column_0_N_name)s_idx",
            "ck": "%(table_name)s_%(constraint_name)s_check",
        }
    )


def holds(what: str, *, without: Sequence[str] = (), aged_by: str = "") -> dict[str, Any]:
    """For `__table_args__`: what rows of this table hold of their user.

    `what` is its name in the archive that a user gets. Columns in `without`, such as secrets, are
    left out there. With `aged_by`, rows are deleted when this time is longer ago than RETENTION_DAYS.
    Every row of an erased user is deleted, whatever its table says.
    """
    return {"info": {"holds": what, "without": tuple(without), "aged_by": aged_by}}


class DatabaseUnreachable(Exception):
    """PostgreSQL is down, restarting, out of resources, or not reachable over the network."""


class BatchBlocked(Exception):
    """Statements that are executed together waited too long for another transaction."""


class DatabaseOptions(TypedDict, total=False):
    pool_size: int
    retry_seconds: float
    row_level_security: bool
    transaction_pooler: bool


class Database:
    """One engine per process. A connection is held for one transaction at most.

    Every method takes the owner of the rows, a user's id, or `EVERYBODY` for maintenance, and
    raises `DatabaseUnreachable`. With `row_level_security` each transaction begins with a statement
    that tells the server the owner. `transaction_pooler` is for a pooler between, with which two
    transactions of a connection may run on different server connections.
    """

    def __init__(self, url: str, **options: Unpack[DatabaseOptions]) -> None:
        pool_size = options.get("pool_size", 10)
        self._retry_seconds = options.get("retry_seconds", 15)
        self.row_level_security = options.get("row_level_security", False)
        self._compiled: dict[Executable, Compiled] = {}
        self.engine = new_engine(
            url,
            {
                "command_timeout": STATEMENT_SECONDS,
                **(NO_PREPARED_STATEMENTS if options.get("transaction_pooler") else {}),
            },
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=POOL_SECONDS,
        )
        event.listen(self.engine.sync_engine, "handle_error", _disconnect_read_only_server)
        self._writers = asyncio.Semaphore(pool_size - reserved_for_reads(pool_size))
        # A single statement runs without BEGIN and COMMIT, which saves two round trips.
        self._autocommit = self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @classmethod
    def from_settings(cls, settings: Settings, url: str) -> "Database":
        """The database at `url`; in development, the settings may not have one."""
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
            async with self._write_slot():
                return await self._execute(owner, statement, parameters)

        return await self._retry(execute, retry)

    async def fetch_each(
        self,
        owner: str | None,
        statement: Executable,
        each: Sequence[Mapping[str, Any]],
        *,
        seconds: float,
    ) -> Sequence[Sequence[Any]]:
        """The rows of a write that is executed with each of these parameters, in one round trip.

        All of them are done or none, and doing them twice does no harm. With `row_level_security`
        they are of one owner. Raises `BatchBlocked` when they take longer than `seconds`.
        """
        sql, values = self._for_driver(statement, each)

        async def execute() -> Sequence[Sequence[Any]]:
            async with self._write_slot(), self._connect_for_one(owner) as connection:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                try:
                    rows: Sequence[Sequence[Any]] = await driver.fetchmany(
                        sql, values, timeout=seconds
                    )
                except TimeoutError as error:
                    raise BatchBlocked(f"{len(each)} writes took more than {seconds} s") from error
                return rows

        return await self._retry(execute, retry=False)

    async def read(
        self,
        owner: str | None,
        statement: Executable,
        parameters: Mapping[str, Any] | None = None,
        *,
        retry: bool = False,
    ) -> Sequence[Row[Any]]:
        """The rows of a statement that only reads; it does not wait behind writes."""
        return await self._retry(lambda: self._execute(owner, statement, parameters), retry)

    async def write(self, owner: str | None, *statements: Executable, retry: bool = False) -> None:
        """Execute all statements in one transaction, retried like `fetch`."""

        async def execute() -> None:
            async with self._write_slot(), self._begin(owner) as connection:
                for statement in statements:
                    await connection.execute(statement)

        if len(statements) == 1:
            await self.fetch(owner, statements[0], retry=retry)
        else:
            await self._retry(execute, retry)

    @asynccontextmanager
    async def transaction(self, owner: str | None) -> AsyncIterator[AsyncConnection]:
        """A transaction of several statements; it is not retried."""
        with raising_unreachable():
            async with self._write_slot(), self._begin(owner) as connection:
                yield connection

    @asynccontextmanager
    async def reading(self, owner: str | None) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads; it does not wait behind writes."""
        with raising_unreachable():
            async with self._begin(owner) as connection:
                yield connection

    async def reconnect(self) -> None:
        """Close all connections; the next statement opens a new one, perhaps to another server."""
        await self.engine.dispose()

    async def dispose(self) -> None:
        await self.engine.dispose()

    def _for_driver(
        self, statement: Executable, each: Sequence[Mapping[str, Any]]
    ) -> tuple[str, list[tuple[Any, ...]]]:
        """SQLAlchemy executes many only where they have no rows; asyncpg's `fetchmany` does."""
        compiled = self._compiled.get(statement)
        if compiled is None:
            assert isinstance(statement, ClauseElement)
            compiled = statement.compile(dialect=self.engine.dialect)
            self._compiled[statement] = compiled
        assert isinstance(compiled, SQLCompiler)
        names, constants = compiled.positiontup or [], compiled.params
        values = [
            tuple(parameters[name] if name in parameters else constants[name] for name in names)
            for parameters in each
        ]
        return str(compiled), values

    async def _execute(
        self, owner: str | None, statement: Executable, parameters: Mapping[str, Any] | None = None
    ) -> Sequence[Row[Any]]:
        async with self._connect_for_one(owner) as connection:
            result = await connection.execute(statement, parameters)
            return result.all() if result.returns_rows else ()

    @asynccontextmanager
    async def _write_slot(self) -> AsyncIterator[None]:
        """Wait for a connection that is not reserved for reads. Raises TimeoutError."""
        async with asyncio.timeout(POOL_SECONDS):
            with waiting_for_connection():
                await self._writers.acquire()
        try:
            yield
        finally:
            self._writers.release()

    def _connect_for_one(self, owner: str | None) -> AbstractAsyncContextManager[AsyncConnection]:
        return self._begin(owner) if self.row_level_security else self._autocommit.connect()

    @asynccontextmanager
    async def _begin(self, owner: str | None) -> AsyncIterator[AsyncConnection]:
        async with self.engine.begin() as connection:
            if self.row_level_security:
                await set_owner(connection, owner)
            yield connection

    async def _retry(self, attempt: Callable[[], Awaitable[T]], retry: bool) -> T:
        deadline = time.monotonic() + (self._retry_seconds if retry else 0)
        pause = 0.0
        while True:
            try:
                return await attempt()
            except Exception as error:
                # The first retry comes at once: one dead connection invalidates the whole pool.
                if not is_unreachable(error) or (pause and time.monotonic() + pause > deadline):
                    _raise_if_unreachable(error)
                    raise
            await asyncio.sleep(pause)
            pause = min(max(2 * pause, 0.1), MAX_PAUSE_SECONDS)


def new_engine(
    url: str, connect_args: Mapping[str, Any] = NO_ARGUMENTS, **options: Any
) -> AsyncEngine:
    """An SQLAlchemy engine for the database at `url`. Raises `InvalidUrl`."""
    return create_async_engine(
        "postgresql+asyncpg://",  # `connect_args` has the host, the user and so on
        connect_args={**connect_options(url, seconds=CONNECT_SECONDS), **connect_args},
        # Errors are logged, and the parameters contain messages of users.
        hide_parameters=True,
        **options,
    )


def reserved_for_reads(pool_size: int) -> int:
    """The number of connections in a pool that writes never use; 0 for a pool of one."""
    return max(1, pool_size // READ_SHARE) if pool_size > 1 else 0


async def set_owner(connection: AsyncConnection, owner: str | None) -> None:
    """Set the owner for row-level security until the transaction ends."""
    setting = (EVERYBODY_SETTING, "on") if owner is EVERYBODY else (OWNER_SETTING, owner)
    # Every transaction begins with it, and the driver's SQL needs no compilation.
    await connection.exec_driver_sql("SELECT set_config($1, $2, true)", setting)


def is_unreachable(error: BaseException) -> bool:
    """True if the server did not answer; false if it refused the statement."""
    if isinstance(error, DBAPIError):
        if error.connection_invalidated:
            return True
        error = error.orig or error
    # OSError: connection refused, no such host or socket, timeout. InternalClientError: none of
    # several hosts matches `target_session_attrs`.
    if isinstance(
        error, OSError | PoolTimeout | asyncpg.InterfaceError | asyncpg.InternalClientError
    ):
        return True
    return _sqlstate(error).startswith(UNREACHABLE)


def _sqlstate(error: BaseException | None) -> str:
    return getattr(error, "sqlstate", None) or ""


def _disconnect_read_only_server(context: ExceptionContext) -> None:
    """Reconnect after a failover: a connection to the new standby would refuse every write.

    The whole pool is replaced, as if the server had closed this connection.
    """
    if _sqlstate(context.original_exception) == READ_ONLY_STATE:
        context.is_disconnect = True


@contextmanager
def raising_unreachable() -> Iterator[None]:
    """Raise `DatabaseUnreachable` for errors of the driver and of sockets."""
    try:
        yield
    except Exception as error:
        _raise_if_unreachable(error)
        raise


def _raise_if_unreachable(error: Exception) -> None:
    if not is_unreachable(error):
        return
    cause = error.orig if isinstance(error, DBAPIError) else error
    logger.error("the database is not reachable: %s: %s", type(cause).__name__, str(cause))
    raise DatabaseUnreachable("The database is not reachable right now.") from error
