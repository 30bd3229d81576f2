"""With ROW_LEVEL_SECURITY, PostgreSQL limits each transaction to the rows of one owner.

The tests connect as a role that owns the tables, because superusers bypass all policies.
"""

import asyncio
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from alembic import command
from sqlalchemy import Connection, func, insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from engine.database.database import EVERYBODY, Database
from engine.database.migrations import alembic_config
from engine.database.rows import RunRow, ThreadRow, UserRow
from engine.database.tables import owned_tables
from engine.demo.model import SLOWNESS
from engine.operate.commands.migrate import upgrade
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.fixtures import new_database, serving, visiting
from engine.tests.operating import blocks, run
from engine.tests.test_partitions import SLOW_SECONDS, use_everything


@pytest.fixture(scope="module")
def role_url(postgres_url: str) -> Iterator[str]:
    """An empty database that an ordinary role owns."""
    role = f"role_{secrets.token_hex(4)}"
    password = secrets.token_hex(16)
    with new_database(postgres_url, role) as url:
        administer(
            url,
            f"CREATE ROLE {role} LOGIN PASSWORD '{password}'",
            f"ALTER DATABASE {role} OWNER TO {role}",
        )
        yield (
            make_url(url)
            .set(username=role, password=password)
            .render_as_string(hide_password=False)
        )
    administer(postgres_url, f"DROP ROLE {role}")


def administer(url: str, *statements: str) -> None:
    async def execute() -> None:
        engine = create_async_engine(url)
        async with engine.begin() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(execute())


@pytest.fixture(scope="module")
def secured(role_url: str, settings: Settings) -> Settings:
    migrate(role_url, row_level_security=True)
    return settings.model_copy(update={"database_url": role_url, "row_level_security": True})


def migrate(url: str, *, row_level_security: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROW_LEVEL_SECURITY", str(row_level_security))
        upgrade(url)


@pytest.fixture
async def database(secured: Settings) -> AsyncIterator[Database]:
    assert secured.database_url is not None
    database = Database(secured.database_url, row_level_security=True)
    for owner in ("anna", "bert"):
        thread: dict[str, Any] = {"user_id": owner, "id": "thread", "payload": {}}
        async with database.transaction(owner) as connection:
            await connection.execute(insert(UserRow).values(id=owner))
            await connection.execute(insert(ThreadRow).values(thread))
    yield database
    async with database.transaction(EVERYBODY) as connection:
        await connection.execute(text(f"DELETE FROM {UserRow.__tablename__}"))  # noqa: S608
    await database.dispose()


async def test_a_statement_without_owner_condition_sees_one_owners_rows(database: Database) -> None:
    everything = select(ThreadRow.user_id)

    for owner in ("anna", "bert"):
        assert [row.user_id for row in await database.fetch(owner, everything)] == [owner]
    assert len(await database.fetch(EVERYBODY, everything)) == 2
    assert await database.fetch("", everything) == []


async def test_the_owner_is_reset_after_each_transaction(
    secured: Settings, database: Database
) -> None:
    assert secured.database_url is not None
    single = Database(secured.database_url, pool_size=1, row_level_security=True)
    for owner in ("anna", EVERYBODY):
        assert await single.fetch(owner, select(ThreadRow.user_id))
        async with single.engine.connect() as connection:
            assert (await connection.execute(select(ThreadRow.user_id))).all() == []
    await single.dispose()


async def test_rows_of_other_owners_cannot_be_written(database: Database) -> None:
    emptied = update(ThreadRow).values(payload={}).returning(ThreadRow.user_id)
    assert await database.fetch("anna", emptied) == [("anna",)]
    forged = {"user_id": "bert", "id": "forged", "payload": {}}
    with pytest.raises(DBAPIError, match="row-level security"):
        await database.write("anna", insert(ThreadRow).values(forged))
    given_away = update(ThreadRow).values(user_id="bert", id="given away")
    with pytest.raises(DBAPIError, match="row-level security"):
        await database.write("anna", given_away)


async def test_migrations_see_the_rows_of_all_owners(database: Database) -> None:
    def migrate_and_look(connection: Connection) -> list[str]:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "heads")
        return list(connection.scalars(select(ThreadRow.user_id)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROW_LEVEL_SECURITY", "true")
        async with database.engine.begin() as connection:
            assert len(await connection.run_sync(migrate_and_look)) == 2


async def test_the_chat_works_with_row_level_security(secured: Settings) -> None:
    patient = secured.model_copy(update={"demo_delay_seconds": SLOW_SECONDS / SLOWNESS})
    async with serving(create_app(patient)) as url, visiting(url, patient) as visitor:
        await use_everything(visitor)


async def test_runs_of_dead_workers_are_closed(secured: Settings, database: Database) -> None:
    run = {"user_id": "anna", "id": "run", "thread_id": "thread", "request": "threads.create"}
    state = {"model": "m", "worker": "dead", "slot": 1, "start_seq": 0}
    long_ago = func.now() - timedelta(hours=1)
    await database.write("anna", insert(RunRow).values(**run, **state, heartbeat_at=long_ago))

    app = create_app(secured)
    await app.state.chat.recovery.close_abandoned()
    await app.state.chat.database.dispose()

    assert await database.fetch("anna", select(RunRow.status)) == [("interrupted",)]


@pytest.mark.parametrize("row_level_security", [True, False])
async def test_ready_only_if_the_setting_matches_the_database(
    secured: Settings, settings: Settings, row_level_security: bool
) -> None:
    for placed in (secured, settings):
        asked = placed.model_copy(update={"row_level_security": row_level_security})
        async with (
            serving(create_app(asked)) as url,
            httpx2.AsyncClient(base_url=url, timeout=30) as client,
        ):
            response = await client.get("/readyz")
        assert response.status_code == (200 if asked == placed else 503)


def test_migrate_enables_and_disables_row_level_security(postgres_url: str) -> None:
    names = {table.name for table in owned_tables()}
    with new_database(postgres_url, f"secured_{secrets.token_hex(4)}") as url:
        migrate(url, row_level_security=False)
        assert asyncio.run(secured_tables(url)) == (set(), set())
        for _ in range(2):
            migrate(url, row_level_security=True)
            assert asyncio.run(secured_tables(url)) == (names, names)
        command.check(alembic_config())  # only reads: the policies stay although the setting is off
        assert asyncio.run(secured_tables(url)) == (names, names)
        migrate(url, row_level_security=False)
        assert asyncio.run(secured_tables(url)) == (set(), set())


async def secured_tables(url: str) -> tuple[set[str], set[str]]:
    """The tables that have a policy, and those on which it is enforced."""
    database = Database(url)
    policies = text("SELECT tablename FROM pg_policies")
    forced = text("SELECT relname FROM pg_class WHERE relrowsecurity AND relforcerowsecurity")
    found = [{name for (name,) in await database.fetch(EVERYBODY, s)} for s in (policies, forced)]
    await database.dispose()
    return found[0], found[1]


@pytest.mark.skipif(sys.platform == "win32", reason="runs commands of a POSIX shell")
def test_a_dump_needs_a_role_that_bypasses_policies(
    secured: Settings, postgres_url: str, tmp_path: Path
) -> None:
    """A dump as the application's own role would leave out every row."""
    assert secured.database_url is not None
    dump = blocks("Back up and restore", "sh")[0].splitlines()[0]
    name = make_url(secured.database_url).database
    superuser = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)

    with pytest.raises(subprocess.CalledProcessError):
        run(dump, tmp_path, secured.database_url, BACKUP=str(tmp_path))
    run(dump, tmp_path, superuser, BACKUP=str(tmp_path))
