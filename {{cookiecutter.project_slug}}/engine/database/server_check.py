"""Checks version, encoding and write access of a PostgreSQL server before it is used."""

import asyncio
from collections.abc import Mapping
from typing import Any

import asyncpg

from engine.settings.database_url import connect_options, parse_url

OLDEST_POSTGRES = 13

# Returns the one row that `server_problem` takes.
SERVER_QUERY = """
SELECT current_setting('server_version') AS version,
       current_setting('server_version_num')::int AS number,
       current_setting('server_encoding') AS encoding,
       current_setting('transaction_read_only') = 'on' AS is_read_only
"""

IDLE_QUERY = """
SELECT count(*) = 0 AS is_idle FROM pg_stat_activity
 WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""

READ_ONLY = (
    "The database refuses writes: it is a standby, or read-only. If DATABASE_URL names several "
    "hosts, add target_session_attrs=read-write to it, which selects the one that takes writes."
)


def server_problem(server: Mapping[Any, Any]) -> str | None:
    """The reason why the server of this row cannot be used, with the fix; None if it can."""
    if server["number"] < OLDEST_POSTGRES * 10_000:
        return (
            f"PostgreSQL {server['version'].split()[0]} is too old: "
            f"{OLDEST_POSTGRES} or newer is needed."
        )
    if server["encoding"] != "UTF8":
        return (
            f"The database's encoding is {server['encoding']}, which lacks most scripts and emoji. "
            "Create one in UTF-8: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
        )
    return READ_ONLY if server["is_read_only"] else None


class UnusableDatabase(Exception):
    """No database answers, or one of no use; the message names it and what to do."""


NO_ANSWER = (
    *(OSError, TimeoutError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)


def check_database(url: str) -> str:
    """Return the server's version.

    Raises `UnusableDatabase` when there is no answer, or from a server that cannot be used.
    """
    try:
        server = asyncio.run(_row(url, SERVER_QUERY))
    except NO_ANSWER as error:
        reason = str(error) or type(error).__name__
        raise UnusableDatabase(
            f"No database answers at {parse_url(url)}: {reason}\n"
            "Check DATABASE_URL, or in development remove it to use the embedded PostgreSQL."
        ) from error
    if problem := server_problem(server):
        raise UnusableDatabase(f"{parse_url(url)} cannot be used. {problem}")
    return f"PostgreSQL {server['version'].split()[0]}"


def is_idle(url: str) -> bool:
    """True if nobody is connected to the server, or it does not answer."""
    try:
        return bool(asyncio.run(_row(url, IDLE_QUERY))["is_idle"])
    except NO_ANSWER:
        return True


async def _row(url: str, query: str) -> asyncpg.Record:
    # Without prepared statements, which a server connection behind PgBouncer may not have.
    connection = await asyncpg.connect(**connect_options(url), statement_cache_size=0)
    try:
        return await connection.fetchrow(query)
    finally:
        await connection.close()
