"""The health checks `/healthz` and `/readyz`."""

import asyncio
import gc
import secrets
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import column, delete, insert, select, table, text

from engine.database import migrations
from engine.database.database import EVERYBODY, TABLE_PREFIX, VERSION_TABLE, Database
from engine.operate import doctor
from engine.operate.commands.migrate import upgrade
from engine.operate.identity import application_id
from engine.settings.finding import Finding
from engine.settings.settings import Settings
from engine.speed.garbage import MIDDLE_SEARCHES, YOUNG_OBJECTS, YOUNG_SEARCHES
from engine.tests.application import create_app
from engine.tests.fixtures import new_database, serving, visiting
from engine.tests.talk import message
from engine.version import VERSION


async def test_alive_and_ready(base_url: str) -> None:
    async with httpx2.AsyncClient(base_url=base_url, timeout=30) as client:
        health = (await client.get("/healthz")).json()
        application = application_id(Settings())
        assert health == {"status": "ok", "version": VERSION, "application": application}
        assert (await client.get("/readyz")).json() == {"status": "ready"}


async def test_everything_is_seldom_searched_and_imports_never(settings: Settings) -> None:
    async with serving(create_app(settings)):
        assert gc.get_freeze_count() > 100_000
        assert gc.get_threshold() == (YOUNG_OBJECTS, YOUNG_SEARCHES, MIDDLE_SEARCHES)
        # Python's own numbers are 700, 10 and 10.
        assert YOUNG_OBJECTS * (YOUNG_SEARCHES + 1) * MIDDLE_SEARCHES > 1_000_000


async def test_not_ready_without_a_database(settings: Settings) -> None:
    nowhere = settings.model_copy(
        update={"database_url": "postgresql+asyncpg://nobody:secret@127.0.0.1:1/none"}
    )
    async with serving(create_app(nowhere)) as url, visiting(url, settings) as visitor:
        assert (await visitor.client.get("/healthz")).status_code == 200
        for response in (await visitor.client.get("/readyz"), await visitor.send("threads.list")):
            assert response.status_code == 503
            assert response.headers["retry-after"]
            assert "secret" not in response.text


async def test_not_ready_while_stopping(settings: Settings) -> None:
    """The port is still open, as with servers that close it last."""
    app = create_app(settings)
    async with serving(app) as url, visiting(url, settings) as visitor:
        app.state.chat.runs.drain()
        refused = await visitor.send("threads.create", input=message("hello"))
        for response in (await visitor.client.get("/readyz"), refused):
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) > 0
        assert (await visitor.client.get("/healthz")).status_code == 200


@asynccontextmanager
async def at(database: Database, *revisions: str) -> AsyncIterator[None]:
    """With these rows in the version table."""
    version = table(VERSION_TABLE, column("version_num"))
    before = [row for (row,) in await database.fetch(EVERYBODY, select(version.c.version_num))]

    async def replace(rows: Iterable[str]) -> None:
        added = [insert(version).values(version_num=row) for row in rows]
        await database.write(EVERYBODY, delete(version), *added)

    await replace(revisions)
    try:
        yield
    finally:
        await replace(before)


async def ready(base_url: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=base_url, timeout=30) as client:
        return await client.get("/readyz")


async def test_not_ready_before_the_newest_migration(base_url: str, database: Database) -> None:
    first = [name for name in migrations.newest_revisions() if not name.startswith("core_")]
    async with at(database, "core_0001", *first):
        response = await ready(base_url)
    assert response.status_code == 503
    said = response.json()["error"]["message"]
    assert "it lacks core_" in said
    assert said.endswith("run `python3 -m app migrate`.")


@pytest.mark.parametrize("newer", ["core_9999", "taken_out_0001"])
async def test_ready_after_another_release_has_migrated(
    base_url: str, database: Database, newer: str
) -> None:
    """Otherwise a rolling update would remove old instances before new ones are ready."""
    label = newer.rpartition("_")[0]
    others = [name for name in migrations.newest_revisions() if not name.startswith(label)]
    async with at(database, newer, *others):
        assert (await ready(base_url)).status_code == 200


@pytest.fixture
def own_url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, f"lost_{secrets.token_hex(4)}") as url:
        upgrade(url)
        yield url


@pytest.mark.parametrize(
    ("change", "lacking"),
    [
        (f"DROP TABLE {TABLE_PREFIX}feedback", f"{TABLE_PREFIX}feedback"),
        (f"ALTER TABLE {TABLE_PREFIX}runs DROP COLUMN model", f"{TABLE_PREFIX}runs.model"),
    ],
)
async def test_not_ready_without_a_table_or_column(
    settings: Settings, own_url: str, change: str, lacking: str
) -> None:
    """Although the database is at the newest revision."""
    database = Database(own_url)
    await database.write(EVERYBODY, text(change))
    await database.dispose()
    async with serving(create_app(settings.model_copy(update={"database_url": own_url}))) as base:
        response = await ready(base)
    assert response.status_code == 503
    said = response.json()["error"]["message"]
    assert f" and lacks {lacking}. " in said
    finding = await asyncio.to_thread(doctor.migrations, own_url)
    assert finding == Finding("fail", said)


def test_rows_below_the_newest_revisions_are_behind() -> None:
    script = ScriptDirectory.from_config(migrations.alembic_config())
    newest = set(migrations.newest_revisions())
    for row in newest:
        # A row says of all that it depends on that it is there.
        implied = migrations.applied(script, newest - {row})
        assert row in implied | migrations.lacking_revisions(script, newest - {row})
    assert migrations.lacking_revisions(script, ()) == newest
    assert migrations.lacking_revisions(script, ("0012",)) == newest
    assert migrations.lacking_revisions(script, newest) == set()
