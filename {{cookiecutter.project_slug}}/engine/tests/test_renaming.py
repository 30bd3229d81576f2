"""Tables get another prefix, with every name that begins with it, and keep their rows."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, insert, select, text
from sqlalchemy.ext.asyncio import create_async_engine

from engine.database.database import TABLE_PREFIX
from engine.database.migrations import MigrationRefused
from engine.database.renaming import rename
from engine.database.rows import UserRow
from engine.operate.commands.migrate import upgrade
from engine.tests.fixtures import new_database

OTHER = "other_"
NAMES = (
    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    " AND relkind IN ('r', 'i', 'S')",
    "SELECT conrelid::regclass || '.' || conname FROM pg_constraint"
    " WHERE connamespace = 'public'::regnamespace",
    "SELECT stxname FROM pg_statistic_ext",
)
POLICIES = "SELECT tablename || policyname || qual FROM pg_policies"


@pytest.fixture
def url(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with new_database(postgres_url, f"renaming_{secrets.token_hex(4)}") as url:
        monkeypatch.setenv("DATABASE_URL", url)
        yield url


def on(url: str, work: Callable[[Connection], Any]) -> Any:
    async def run() -> Any:
        engine = create_async_engine(url)
        try:
            async with engine.begin() as connection:
                return await connection.run_sync(work)
        finally:
            await engine.dispose()

    return asyncio.run(run())


def ask(url: str, *statements: str) -> list[str]:
    def work(connection: Connection) -> list[str]:
        return sorted(name for one in statements for name in connection.scalars(text(one)))

    found: list[str] = on(url, work)
    return found


def execute(url: str, statement: str) -> None:
    on(url, lambda connection: connection.execute(text(statement)))


def give_other_prefix(url: str) -> None:
    on(url, lambda connection: rename(connection, TABLE_PREFIX, OTHER))


def test_every_name_and_row_comes_along(url: str) -> None:
    upgrade(url)
    before = ask(url, *NAMES)
    on(url, lambda connection: connection.execute(insert(UserRow).values(id="ada")))

    give_other_prefix(url)
    assert ask(url, *NAMES) == sorted(name.replace(TABLE_PREFIX, OTHER) for name in before)

    for _ in range(2):  # the second time, it is done already
        upgrade(url, rename_from=OTHER)
        assert ask(url, *NAMES) == before
    assert on(url, lambda connection: list(connection.scalars(select(UserRow.id)))) == ["ada"]


def test_policies_name_the_new_settings(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROW_LEVEL_SECURITY", "true")
    upgrade(url)
    before = ask(url, POLICIES)
    assert before

    give_other_prefix(url)
    assert ask(url, POLICIES) == []

    upgrade(url, rename_from=OTHER)
    assert ask(url, POLICIES) == before


def test_another_project_whose_prefix_begins_alike_is_left_alone(url: str) -> None:
    upgrade(url)
    give_other_prefix(url)
    execute(url, f"CREATE TABLE {OTHER}two_alembic_version (version_num text)")
    execute(url, f"CREATE TABLE {OTHER}two_users (id bigint PRIMARY KEY)")

    upgrade(url, rename_from=OTHER)

    left = [name for name in ask(url, *NAMES) if OTHER in name and ".pg_" not in name]
    assert left
    assert all(name.startswith(f"{OTHER}two_") for name in left)


def test_tables_of_both_prefixes_are_refused(url: str) -> None:
    upgrade(url)
    before = ask(url, *NAMES)
    execute(url, f"CREATE TABLE {OTHER}alembic_version (version_num text)")

    with pytest.raises(MigrationRefused, match=f"tables with the prefix {TABLE_PREFIX} beside"):
        upgrade(url, rename_from=OTHER)

    assert [name for name in ask(url, *NAMES) if OTHER not in name] == before


def test_a_prefix_without_tables_is_refused(url: str) -> None:
    with pytest.raises(MigrationRefused, match=f"no tables with the prefix {OTHER}"):
        upgrade(url, rename_from=OTHER)

    assert ask(url, *NAMES) == []
