"""`python -m app migrate`. Imports no SDK, which would take seconds and is not needed here."""

import argparse
import os
from typing import Any


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Any:
    return commands.add_parser("migrate", help="apply all migrations to the database")


def run(_options: argparse.Namespace) -> int:
    from engine.operate.commands.database import database_url

    upgrade(database_url())
    print("at the newest migration")
    return 0


def upgrade(url: str) -> None:
    """Apply all migrations to the database at `url`. Raises `MigrationRefused`.

    Also sets DATABASE_URL in this process to `url`.
    """
    from alembic import command
    from alembic.util import CommandError

    from engine.database.migrations import MigrationRefused, alembic_config, newest_revision

    os.environ["DATABASE_URL"] = url
    newest_revision()
    try:
        command.upgrade(alembic_config(), "head")
    except CommandError as error:
        raise MigrationRefused(str(error)) from error
