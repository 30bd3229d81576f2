"""The analytics database: lists its tables and executes read-only queries."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
from pydantic import Field, field_validator

from engine.database.database import is_unreachable
from engine.settings.database_url import checked_url, connect_options
from engine.settings.settings import EnvSettings
from engine.toolkits.sql.guard import FUNCTIONS, Query, Refused, check_query
from engine.tools.services import ToolRefusal

CONNECT_SECONDS = 5
LOCK_SECONDS = 2
MAX_CELL_CHARS = 1_000
MAX_COLUMNS = 100
MAX_TABLES = 500
MAX_ERROR_CHARS = 300
WORK_MEMORY = "16MB"
TEMPORARY_FILES = "256MB"

logger = logging.getLogger(__name__)

NUMERIC = {"int2", "int4", "int8", "float4", "float8", "numeric", "money"}

# The tables that the role may SELECT from, without the partitions of partitioned tables.
TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) AS name,
       obj_description(c.oid, 'pg_class') AS comment,
       string_agg(
           format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod))
               || coalesce(' (' || col_description(c.oid, a.attnum) || ')', ''),
           ', ' ORDER BY a.attnum
       ) AS columns
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND NOT c.relispartition
  AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND has_schema_privilege(n.oid, 'USAGE')
  AND has_column_privilege(c.oid, a.attnum, 'SELECT')
  AND strpos(lower(format('%s.%s', n.nspname, c.relname)), lower($1)) > 0
GROUP BY c.oid, n.nspname, c.relname
ORDER BY n.nspname, c.relname
LIMIT $2
"""

# Settings for the transaction, whatever the role or the database has set. The guard parses strings
# as standard-conforming; with that setting off, PostgreSQL would treat backslashes differently.
# Memory is limited to that of one process, without a multiple for hashes. Only a superuser can
# limit temporary files, so the role has that limit (docs/configure.md).
SETTINGS = f"""
SELECT set_config('statement_timeout', $1, true),
       set_config('idle_in_transaction_session_timeout', $1, true),
       set_config('lock_timeout', $2, true),
       set_config('standard_conforming_strings', 'on', true),
       set_config('work_mem', '{WORK_MEMORY}', true),
       set_config('hash_mem_multiplier', '1', true),
       set_config('max_parallel_workers_per_gather', '0', true),
       CASE WHEN current_setting('is_superuser') = 'on'
            THEN set_config('temp_file_limit', '{TEMPORARY_FILES}', true) END
"""

# Functions that a name behind a dot would call: PostgreSQL reads `o.f` as f(o) if `o` has no column
# f. Type conversions and immutable functions are allowed, because a column may be named "date" or
# "length".
REACHED_BY_DOT = """
SELECT p.proname::text
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.proname = ANY ($1::text[]::name[])
  AND p.pronargs > 0 AND p.pronargs - p.pronargdefaults <= 1
  AND p.proargtypes[0] <> 'internal'::regtype
  AND NOT (n.nspname = 'pg_catalog' AND (
      p.provolatile = 'i' OR p.proname = ANY ($2::text[]::name[])
      OR EXISTS (SELECT FROM pg_type AS t
                 WHERE t.typname = p.proname AND t.typnamespace = n.oid)))
LIMIT 1
"""

CAN_WRITE = """
SELECT current_setting('is_superuser') = 'on' OR EXISTS (
    SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
      AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')
)
"""


# A function that runs with its owner's rights can give the role access to more data.
RUNS_AS_OWNER = """
SELECT format('%I.%I', n.nspname, p.proname)
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE p.prosecdef AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')
ORDER BY 1
LIMIT 1
"""


class AnalyticsSettings(EnvSettings):
    analytics_database_url: str | None = None
    analytics_timeout_seconds: float = Field(default=15, gt=0, le=25)  # a tool has 30
    analytics_max_rows: int = Field(default=200, ge=1, le=10_000)
    analytics_pool_size: int = Field(default=5, ge=1)

    @field_validator("analytics_database_url")
    @classmethod
    def _check(cls, value: str | None) -> str | None:
        return None if value is None else checked_url(value)


@dataclass(frozen=True)
class Column:
    name: str
    is_number: bool


@dataclass(frozen=True)
class Result:
    """Values as PostgreSQL's text, None for NULL; `is_cut` is true if there are more rows."""

    columns: list[Column]
    rows: list[list[str | None]]
    is_cut: bool


@dataclass(frozen=True)
class TableInfo:
    """A check_query table or view; `columns` lists names and types in one line."""

    name: str
    columns: str
    comment: str | None


class Analytics:
    """A separate connection pool, which connects at the first query.

    Every error is raised as `ToolRefusal`, so that the turn goes on.
    """

    def __init__(self, settings: AnalyticsSettings | None = None) -> None:
        self._settings = settings or AnalyticsSettings()
        self._pool: asyncpg.Pool | None = None
        self._connect_seconds: float = CONNECT_SECONDS
        # sqlglot's warnings quote statements, which may contain personal data.
        logging.getLogger("sqlglot").setLevel(logging.ERROR)

    async def start(self) -> None:
        url = self._settings.analytics_database_url
        if url is not None:
            options = connect_options(url, seconds=CONNECT_SECONDS)
            self._connect_seconds = options["timeout"]
            self._pool = await asyncpg.create_pool(
                **options,
                min_size=0,
                max_size=self._settings.analytics_pool_size,
                statement_cache_size=0,  # prepared statements fail behind transaction poolers
            )

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()

    async def check(self) -> str:
        async with self._connection() as connection:
            if await connection.fetchval(CAN_WRITE):
                raise ToolRefusal(
                    "ANALYTICS_DATABASE_URL connects as a role that may write. Use one that may"
                    " only SELECT; docs/configure.md says how to make it."
                )
            if function := await connection.fetchval(RUNS_AS_OWNER):
                raise ToolRefusal(
                    f"The role of ANALYTICS_DATABASE_URL may call {function}, which runs with its"
                    f" owner's rights. REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC;"
                    " docs/configure.md says how to make the role."
                )
            if await connection.fetchval("SHOW temp_file_limit") == "-1":
                raise ToolRefusal(
                    "The role of ANALYTICS_DATABASE_URL may fill the disk with temporary files."
                    f" ALTER ROLE … SET temp_file_limit = '{TEMPORARY_FILES}'; docs/configure.md says"
                    " how to make the role."
                )
        return "the analytics database answers, and its role only reads"

    async def tables(self, containing: str) -> list[TableInfo]:
        """At most `MAX_TABLES`; `containing` is part of a name and ignores its case."""
        async with self._connection() as connection:
            rows = await connection.fetch(TABLES, containing.replace("\0", ""), MAX_TABLES)
        return [TableInfo(row["name"], row["columns"], row["comment"]) for row in rows]

    async def query(self, sql: str) -> Result:
        try:
            # Parsing a long query takes time, so it runs outside the event loop.
            query = await asyncio.to_thread(check_query, sql)
        except Refused as refusal:
            raise ToolRefusal(f"the query was refused: {refusal}.") from refusal
        async with self._connection() as connection:
            await self._check_attributes(connection, query)
            return await self._read(connection, query.sql)

    async def _check_attributes(self, connection: asyncpg.Connection, query: Query) -> None:
        if not query.attributes:
            return
        names = [name.replace("\0", "") for name in query.attributes]
        if name := await connection.fetchval(REACHED_BY_DOT, names, sorted(FUNCTIONS)):
            raise ToolRefusal(
                f"the query was refused: .{name} would call the function of that name. Write a"
                " column of that name without its table, or leave it out."
            )

    async def _read(self, connection: asyncpg.Connection, statement: str) -> Result:
        """PostgreSQL cuts rows and cells, so that a large result is never transferred."""
        attributes = (await connection.prepare(statement)).get_attributes()
        if not 1 <= len(attributes) <= MAX_COLUMNS:
            raise ToolRefusal(f"a query has 1 to {MAX_COLUMNS} columns.")
        limit = self._settings.analytics_max_rows
        names = [f"c{number}" for number in range(len(attributes))]
        cells = ", ".join(f"left({name}::text, {MAX_CELL_CHARS + 1})" for name in names)
        bounded = f"SELECT {cells} FROM ({statement}) AS q ({', '.join(names)}) LIMIT {limit + 1}"  # noqa: S608
        rows = await connection.fetch(bounded)
        return Result(
            columns=[Column(a.name, a.type.name in NUMERIC) for a in attributes],
            rows=[[_cell(value) for value in row] for row in rows[:limit]],
            is_cut=len(rows) > limit,
        )

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[asyncpg.Connection]:
        if self._pool is None:
            raise ToolRefusal(
                "ANALYTICS_DATABASE_URL is not set, so there is no database to query."
            )
        seconds = self._settings.analytics_timeout_seconds
        milliseconds = str(int(seconds * 1000))
        connection = await self._connect(self._pool)
        try:
            async with connection.transaction(readonly=True):
                await connection.fetch(SETTINGS, milliseconds, f"{LOCK_SECONDS}s")
                yield connection
        except asyncpg.QueryCanceledError as error:
            raise ToolRefusal(f"the query was stopped after {seconds:g} seconds.") from error
        except asyncpg.ReadOnlySQLTransactionError as error:
            raise ToolRefusal("the query would write, and here it can only read.") from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if is_unreachable(error):
                raise _unavailable(error) from error
            # With PostgreSQL's message the model can correct the query.
            words = " ".join(str(error).split())[:MAX_ERROR_CHARS]
            raise ToolRefusal(f"PostgreSQL says: {words}.") from error
        finally:
            await self._pool.release(connection)

    async def _connect(self, pool: asyncpg.Pool) -> asyncpg.Connection:
        try:
            return await pool.acquire(timeout=self._connect_seconds)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            raise _unavailable(error) from error


def _unavailable(error: Exception) -> ToolRefusal:
    logger.warning("the analytics database is unavailable", exc_info=error)
    return ToolRefusal("the analytics database does not answer. Go on without it and say so.")


def _cell(value: str | None) -> str | None:
    if value is None or len(value) <= MAX_CELL_CHARS:
        return value
    return f"{value[:MAX_CELL_CHARS]}…"
