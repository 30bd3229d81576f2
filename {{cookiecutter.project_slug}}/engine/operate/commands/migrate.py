"""`python3 -m app migrate`. Imports no SDK, which would take seconds and is not needed here."""

import argparse
import asyncio
import os
from typing import Any


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Any:
    migrate = commands.add_parser(
        "migrate",
        help="apply all migrations to the database",
        epilog="example: python3 -m app migrate",
    )
    migrate.add_argument(
        "--in-one-transaction",
        action="store_true",
        help="all of them or none; others wait until the last has ended",
    )
    migrate.add_argument(
        "--rename-from",
        metavar="PREFIX",
        help="first rename tables that have this prefix, of another answer to table_prefix",
    )
    return migrate


def run(options: argparse.Namespace) -> int:
    from engine.database.tables import import_rows
    from engine.operate.commands.database import database_url

    url = database_url()
    import_rows(options.application)
    upgrade(
        url,
        in_one_transaction=options.in_one_transaction,
        rename_from=options.rename_from,
    )
    problem, left = _state(url)
    if left:
        print(f"Of options that were taken out, tables and data are left alone: {', '.join(left)}.")
    if problem:
        print(problem)
        return 1
    print("at the newest migration")
    return 0


def upgrade(url: str, *, in_one_transaction: bool = False, rename_from: str | None = None) -> None:
    """Apply all migrations to the database at `url`. Raises `MigrationRefused`.

    Also sets DATABASE_URL in this process to `url`. In one transaction, a migration that fails takes
    those before it back. Tables with the prefix `rename_from` get that of this project first.
    """
    from alembic import command
    from alembic.util import CommandError

    from engine.database.migrations import MigrationRefused, alembic_config

    os.environ["DATABASE_URL"] = url
    config = alembic_config()
    config.attributes["in_one_transaction"] = in_one_transaction
    config.attributes["rename_from"] = rename_from
    try:
        command.upgrade(config, "heads")
    except CommandError as error:
        raise MigrationRefused(str(error)) from error


def revisions(url: str) -> list[str]:
    """The rows of the version table; empty where it cannot be read."""
    return asyncio.run(_ask_revisions(url))


async def _ask_revisions(url: str) -> list[str]:
    from engine.database.database import EVERYBODY, Database, DatabaseUnreachable
    from engine.database.migrations import version_rows

    database = Database(url, transaction_pooler=True)
    try:
        async with database.reading(EVERYBODY) as connection:
            return sorted(await connection.run_sync(version_rows))
    except DatabaseUnreachable:
        return []
    finally:
        await database.dispose()


def refuse_unless_migrated(url: str) -> None:
    """Raise `MigrationRefused` if the database lacks a migration."""
    from engine.database.migrations import MigrationRefused

    problem, _ = _state(url, only_revisions=True)
    if problem:
        raise MigrationRefused(problem)


def _state(url: str, *, only_revisions: bool = False) -> tuple[str | None, list[str]]:
    """The fault of the tables, if any, and the revisions of options that were taken out."""
    return asyncio.run(_ask(url, only_revisions))


async def _ask(url: str, only_revisions: bool) -> tuple[str | None, list[str]]:
    from engine.database.database import EVERYBODY, Database
    from engine.database.migrations import migration_problem, revisions_taken_out

    database = Database(url, transaction_pooler=True)
    try:
        async with database.reading(EVERYBODY) as connection:
            problem = await connection.run_sync(migration_problem, only_revisions)
            return problem, await connection.run_sync(revisions_taken_out)
    finally:
        await database.dispose()
