"""`python -m app migrate`. Imports no SDK: they cost seconds, and no migration needs them."""

import os

from alembic import command
from alembic.util import CommandError

from dev.database import running_database
from engine.database.migrations import MigrationRefused, alembic_config, newest_revision
from engine.settings.settings import Settings


def migrate() -> int:
    with running_database(Settings()) as url:
        upgrade(url)
    print("at the newest migration")
    return 0


def upgrade(url: str) -> None:
    """Bring the database at `url` to the newest migration; what runs later in here uses it too.

    Raises `MigrationRefused`.
    """
    os.environ["DATABASE_URL"] = url
    newest_revision()
    try:
        command.upgrade(alembic_config(), "head")
    except CommandError as error:
        raise MigrationRefused(str(error)) from error
