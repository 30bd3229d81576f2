"""The probes."""

import httpx
from sqlalchemy import text

from app.config import Settings
from app.db import EVERYBODY, VERSION_TABLE, Database
from app.main import create_app
from tests.conftest import serving, visiting


async def test_alive_and_ready(base_url: str) -> None:
    async with httpx.AsyncClient(base_url=base_url) as client:
        assert (await client.get("/healthz")).json() == {"status": "ok"}
        assert (await client.get("/readyz")).json() == {"status": "ready"}


async def test_not_ready_without_a_database(settings: Settings) -> None:
    nowhere = settings.model_copy(
        update={"database_url": "postgresql+asyncpg://nobody:secret@127.0.0.1:1/none"}
    )
    async with serving(create_app(nowhere)) as url, visiting(url, nowhere) as visitor:
        assert (await visitor.client.get("/healthz")).status_code == 200
        for response in (await visitor.client.get("/readyz"), await visitor.send("threads.list")):
            assert response.status_code == 503
            assert response.headers["retry-after"]
            assert "secret" not in response.text


async def test_not_ready_before_the_newest_migration(base_url: str, database: Database) -> None:
    async with database.transaction(EVERYBODY) as connection:
        current = (
            await connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}"))  # noqa: S608
        ).scalar_one()
        await connection.execute(text(f"UPDATE {VERSION_TABLE} SET version_num = 'old'"))  # noqa: S608
    try:
        async with httpx.AsyncClient(base_url=base_url) as client:
            response = await client.get("/readyz")
    finally:
        async with database.transaction(EVERYBODY) as connection:
            await connection.execute(
                text(f"UPDATE {VERSION_TABLE} SET version_num = :v"),  # noqa: S608
                {"v": current},
            )
    assert response.status_code == 503
    assert "app migrate" in response.json()["error"]["message"]
