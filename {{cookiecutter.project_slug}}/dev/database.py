"""The database that development uses: the one of DATABASE_URL, or the embedded one; `db …`."""

import argparse
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from dev.paths import POSTGRES_DIR
from dev.postgres import Postgres
from dev.postgres_programs import find_programs
from engine.database.server_check import check_database, is_idle
from engine.operate import distribute as citus
from engine.operate.ask import is_sure
from engine.settings.database_url import parse_url, psql_arguments
from engine.settings.settings import Settings


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
        if not was_running and is_idle(url):
            postgres.stop()


def db(options: argparse.Namespace) -> int:
    """One of the commands `db …`."""
    if options.action == "distribute":
        return distribute(only_print=options.sql)
    if options.action == "reset":
        return reset(confirmed=options.yes)
    if options.action == "dump":
        return client("pg_dump", "--no-owner", "--file", options.file)
    if options.action == "psql":
        return client("psql")
    return start() if options.action == "start" else stop()


def operate(options: argparse.Namespace) -> int:
    """One of the operator's commands, on the development database where no other is set."""
    with running_database(Settings()) as url:
        os.environ["DATABASE_URL"] = url
        return int(options.run(options))


def start() -> int:
    url = Settings().database_url
    if url is not None:
        print(f"{check_database(url)} at {parse_url(url)}")
    else:
        print(f"embedded {check_database(Postgres(POSTGRES_DIR).start())}")
    return 0


def stop() -> int:
    postgres = Postgres(POSTGRES_DIR)
    if not postgres.is_running():
        print("The embedded database is not running.")
        return 0
    postgres.stop()
    print("The embedded database is stopped.")
    return 0


def client(name: str, *options: str) -> int:
    """Run one of PostgreSQL's own programs on the database."""
    settings = Settings()
    with running_database(settings) as url:
        own = settings.database_url is not None
        program = shutil.which(name) if own else find_programs() / name
        if program is None:
            print(f"{name} is not installed here; it comes with PostgreSQL's client package.")
            return 1
        place, secrets = psql_arguments(url)
        return subprocess.call([program, *options, place], env=os.environ | secrets)


def reset(*, confirmed: bool) -> int:
    if Settings().database_url is not None:
        print("DATABASE_URL is set, and only the embedded database is ever deleted.")
        return 1
    if not confirmed and not is_sure("Delete the embedded database and all of its data?"):
        print("Nothing was deleted.")
        return 1
    Postgres(POSTGRES_DIR).destroy()
    print("The embedded database is deleted. A new one: python3 -m app setup")
    return 0


def distribute(*, only_print: bool) -> int:
    if only_print:
        citus.print_statements()
        return 0
    with running_database(Settings()) as url:
        return citus.distribute(url)
