"""The database that development uses: the one of DATABASE_URL, or the embedded one."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
from sqlalchemy.engine import make_url

from app.config import Settings
from app.dev.paths import POSTGRES_DIR
from app.dev.postgres import Postgres

CONNECT_SECONDS = 10


class DatabaseUnavailable(Exception):
    """No database answers; the message names the one that was tried and what to do."""


@contextmanager
def running_database(settings: Settings) -> Iterator[str]:
    """The URL of a database that answers.

    An embedded one that was not running is stopped at the end, unless somebody else has
    connected to it in the meantime.
    """
    if settings.database_url is not None:
        check_database(settings.database_url)
        yield settings.database_url
        return
    postgres = Postgres(POSTGRES_DIR)
    was_running = postgres.is_running()
    url = postgres.start()
    try:
        yield url
    finally:
        if not was_running and asyncio.run(_is_idle(url)):
            postgres.stop()


def check_database(url: str) -> str:
    """Return the server's version; raise `DatabaseUnavailable` when there is no answer."""
    try:
        return asyncio.run(_version(url))
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        reason = str(error) or type(error).__name__
        raise DatabaseUnavailable(
            f"No database answers at {without_password(url)}: {reason}\n"
            "Check DATABASE_URL, or remove it to use the embedded PostgreSQL."
        ) from error


def start() -> int:
    settings = Settings()
    if settings.database_url is not None:
        version = check_database(settings.database_url)
        print(f"{version} at {without_password(settings.database_url)}")
    else:
        url = Postgres(POSTGRES_DIR).start()
        print(f"embedded {check_database(url)}")
    return 0


def stop() -> int:
    postgres = Postgres(POSTGRES_DIR)
    if not postgres.is_running():
        print("The embedded database is not running.")
        return 0
    postgres.stop()
    print("The embedded database is stopped.")
    return 0


def psql() -> int:
    settings = Settings()
    with running_database(settings) as url:
        if settings.database_url is None:
            command = [str(part) for part in Postgres(POSTGRES_DIR).psql_command()]
        else:
            program = shutil.which("psql")
            if program is None:
                print("psql is not installed here; it comes with PostgreSQL's client package.")
                return 1
            command = [program, libpq_url(url)]
        return subprocess.call(command)


def reset(*, confirmed: bool) -> int:
    if Settings().database_url is not None:
        print("DATABASE_URL is set, and only the embedded database is ever deleted.")
        return 1
    if not confirmed and not _confirm("Delete the embedded database and all of its data?"):
        print("Nothing was deleted.")
        return 1
    Postgres(POSTGRES_DIR).destroy()
    print("The embedded database is deleted. A new one: python -m app setup")
    return 0


def without_password(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)


def libpq_url(url: str) -> str:
    """The same database in the spelling that asyncpg itself and psql read."""
    parsed = make_url(url).set(drivername="postgresql")
    if "ssl" in parsed.query:
        mode = parsed.query["ssl"]
        parsed = parsed.difference_update_query(["ssl"]).update_query_dict({"sslmode": mode})
    return parsed.render_as_string(hide_password=False)


async def _version(url: str) -> str:
    connection = await asyncpg.connect(
        libpq_url(url), timeout=CONNECT_SECONDS, statement_cache_size=0
    )
    try:
        version: str = await connection.fetchval("SHOW server_version")
    finally:
        await connection.close()
    return f"PostgreSQL {version.split()[0]}"


async def _is_idle(url: str) -> bool:
    try:
        connection = await asyncpg.connect(libpq_url(url), timeout=CONNECT_SECONDS)
    except (OSError, TimeoutError, asyncpg.PostgresError):
        return True
    try:
        others: int = await connection.fetchval(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )
    finally:
        await connection.close()
    return others == 0


def _confirm(question: str) -> bool:
    try:
        return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}
    except EOFError:
        return False
