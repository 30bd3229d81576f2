"""A conversation on the oldest PostgreSQL that is served.

OLDEST_POSTGRES names the folder of its `postgres` and `initdb`. Otherwise it is the oldest of those
that this machine has, as Debian and Ubuntu keep them.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev import postgres
from dev.postgres_programs import SYSTEM_PROGRAMS
from engine.database.server_check import OLDEST_POSTGRES, check_database
from engine.operate.commands.migrate import upgrade
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.fixtures import OneModel, demo_model, serving, visiting
from engine.tests.talk import message


def programs() -> Path | None:
    if given := os.environ.get("OLDEST_POSTGRES"):
        return Path(given)
    there = [place for place in SYSTEM_PROGRAMS.glob("*/bin") if (place / "initdb").exists()]
    return min(there, key=lambda place: float(place.parent.name), default=None)


@pytest.fixture
def oldest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    place = programs()
    if place is None:
        pytest.skip("no other PostgreSQL than the embedded one is here")
    monkeypatch.setenv("DATABASE_URL", "")
    monkeypatch.setattr(postgres, "find_programs", lambda: place)
    server = postgres.Postgres(tmp_path / "data")
    yield server.start()
    server.destroy()


async def test_it_serves(oldest: str, settings: Settings) -> None:
    version = await asyncio.to_thread(check_database, oldest)
    if "OLDEST_POSTGRES" in os.environ:
        assert version.startswith(f"PostgreSQL {OLDEST_POSTGRES}.")
    await asyncio.to_thread(upgrade, oldest)
    own = settings.model_copy(update={"database_url": oldest})
    app = create_app(own, OneModel(own, demo_model()))
    async with serving(app) as base, visiting(base, own) as visitor:
        assert (await visitor.client.get("/readyz")).status_code == 200
        first = await visitor.say("hello 🙂")
        assert (await visitor.say("again", first.thread_id)).answer
        retried = await visitor.stream(
            "threads.retry_after_item",
            thread_id=first.thread_id,
            item_id=first.user_message_id,
        )
        assert retried.answer
        for request, params in (
            ("threads.list", {}),
            ("threads.update", {"title": "Renamed"}),
            ("items.feedback", {"item_ids": [first.user_message_id], "kind": "positive"}),
            ("threads.delete", {}),
        ):
            if request != "threads.list":
                params = {"thread_id": first.thread_id, **params}
            response = await visitor.send(request, **params)
            assert response.status_code == 200, f"{request}: {response.text}"
        refused = await visitor.send(
            "threads.add_user_message", thread_id=first.thread_id, input=message("gone")
        )
        assert refused.status_code == 404
