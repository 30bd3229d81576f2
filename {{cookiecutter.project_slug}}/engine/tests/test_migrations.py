"""The migrations are complete and reversible, and leave tables of others alone."""

import secrets
from collections.abc import Callable, Iterator

import pytest
from alembic import command
from sqlalchemy import Column, Connection, Integer, Table, Text, inspect, text
from sqlalchemy.ext.asyncio import create_async_engine

from engine.database.database import TABLE_PREFIX, VERSION_TABLE, Base
from engine.database.migrations import alembic_config
from engine.tests.fixtures import new_database

Alembic = Callable[..., None]


@pytest.fixture
def fresh_url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, f"migrations_{secrets.token_hex(4)}") as url:
        yield url


async def on(url: str, work: Callable[[Connection], object]) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(work)
    await engine.dispose()


def alembic(connection: Connection, run: Alembic, *arguments: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    run(config, *arguments)


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_downgrade_to_base_and_upgrade_again(fresh_url: str) -> None:
    def work(connection: Connection) -> None:
        alembic(connection, command.upgrade, "heads")
        before = tables(connection)
        alembic(connection, command.downgrade, "base")
        assert tables(connection) == {VERSION_TABLE}
        alembic(connection, command.upgrade, "heads")
        assert tables(connection) == before
        alembic(connection, command.check)

    await on(fresh_url, work)


@pytest.mark.parametrize("neighbour", ["strangers", f"{TABLE_PREFIX}staging_"])
async def test_tables_of_others_are_not_changed(fresh_url: str, neighbour: str) -> None:
    theirs = {f"{neighbour}alembic_version", f"{neighbour}threads"}

    def work(connection: Connection) -> None:
        for name in theirs:
            connection.execute(text(f"CREATE TABLE {name} (id int)"))
        alembic(connection, command.upgrade, "heads")
        alembic(connection, command.check)
        alembic(connection, command.downgrade, "base")
        assert tables(connection) == theirs | {VERSION_TABLE}

    await on(fresh_url, work)


async def test_a_declared_table_without_prefix_is_not_proposed_again(fresh_url: str) -> None:
    columns = Column("id", Integer, primary_key=True), Column("user_id", Text)
    own = Table("orders", Base.metadata, *columns)

    def work(connection: Connection) -> None:
        alembic(connection, command.upgrade, "heads")
        own.create(connection)
        alembic(connection, command.check)

    try:
        await on(fresh_url, work)
    finally:
        Base.metadata.remove(own)
