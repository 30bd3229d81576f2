"""The health checks `/healthz` and `/readyz`."""

import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2
import pytest
from alembic.script import ScriptDirectory
from sqlalchemy import text

from engine.database import migrations
from engine.database.database import EVERYBODY, VERSION_TABLE, Database
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.fixtures import serving, visiting
from engine.tests.talk import message


async def test_alive_and_ready(base_url: str) -> None:
    async with httpx2.AsyncClient(base_url=base_url, timeout=30) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ready"}


async def test_imports_are_frozen_for_the_garbage_collector(
    settings: Settings,
) -> None:
    async with serving(create_app(settings)):
        assert gc.get_freeze_count() > 100_000


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


@asynccontextmanager
async def at_revision(database: Database, revision: str) -> AsyncIterator[None]:
    move = text(f"UPDATE {VERSION_TABLE} SET version_num = :revision")  # noqa: S608
    async with database.transaction(EVERYBODY) as connection:
        current = await connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
        await connection.execute(move, {"revision": revision})
    try:
        yield
    finally:
        async with database.transaction(EVERYBODY) as connection:
            await connection.execute(move, {"revision": current})


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


async def test_not_ready_before_the_newest_migration(
    base_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "_older_revisions", lambda: frozenset({"old"}))
    async with (
        httpx2.AsyncClient(base_url=base_url, timeout=30) as client,
        at_revision(database, "old"),
    ):
        response = await client.get("/readyz")
    assert response.status_code == 503
    assert "app migrate" in response.json()["error"]["message"]


async def test_ready_after_a_newer_release_has_migrated(base_url: str, database: Database) -> None:
    """Otherwise a rolling update would remove old instances before new ones are ready."""
    async with (
        httpx2.AsyncClient(base_url=base_url, timeout=30) as client,
        at_revision(database, "newer"),
    ):
        assert (await client.get("/readyz")).status_code == 200


def test_every_revision_but_the_last_is_behind() -> None:
    script = ScriptDirectory.from_config(migrations.alembic_config())
    older = [revision.revision for revision in script.walk_revisions()][1:]
    assert all(migrations.is_behind((revision,)) for revision in older)
    assert migrations.is_behind(())
    assert not migrations.is_behind((migrations.newest_revision(),))
