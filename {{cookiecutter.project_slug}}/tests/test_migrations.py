"""The tables in the database are those of the code, the application's own among them."""

import pytest
from alembic import command

from engine.database.migrations import alembic_config


def test_every_table_is_as_its_migrations_make_it(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)

    # Not so? `python3 -m app migration "…"` writes what is missing.
    command.check(alembic_config())
