"""A sequence that is behind the items, as after a restore: what then is refused, and what is kept."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.database import sequence
from engine.database.database import EVERYBODY, Database
from engine.database.rows import ItemRow
from engine.operate import doctor
from engine.operate.commands.migrate import upgrade
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.fixtures import OneModel, demo_model, new_database, serving, visiting
from engine.tests.talk import Visitor

GO_BACK = f"SELECT setval(pg_get_serial_sequence('{ItemRow.__tablename__}', 'seq'), 1)"
MEND = sequence.SEQUENCE_BEHIND.partition("Run: ")[2]


@pytest.fixture
def own(
    settings: Settings, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """A database of its own: others number their items, too."""
    monkeypatch.setenv("DATABASE_URL", "")
    with new_database(postgres_url, f"sequence_{secrets.token_hex(4)}") as url:
        upgrade(url)
        yield settings.model_copy(update={"database_url": url})


@asynccontextmanager
async def chatting(settings: Settings) -> AsyncIterator[tuple[Visitor, Database]]:
    app = create_app(settings, OneModel(settings, demo_model()))
    async with serving(app) as base, visiting(base, settings) as visitor:
        yield visitor, app.state.chat.database


async def readiness(visitor: Visitor) -> tuple[int, str]:
    response = await visitor.client.get("/readyz")
    return response.status_code, response.json().get("error", {}).get("message", "")


async def test_probe_and_doctor_notice_it_and_say_the_mend(own: Settings) -> None:
    assert own.database_url is not None
    async with chatting(own) as (visitor, database):
        assert await readiness(visitor) == (200, "")  # there is no item yet
        await visitor.say("hello")
        assert await readiness(visitor) == (200, "")
        await database.fetch(EVERYBODY, text(GO_BACK))

        assert await readiness(visitor) == (503, sequence.SEQUENCE_BEHIND)
        async with chatting(own) as (another, _):  # which has not seen it ahead
            assert await readiness(another) == (503, sequence.SEQUENCE_BEHIND)
        found = await asyncio.to_thread(doctor.migrations, own.database_url)
        assert found.text == sequence.SEQUENCE_BEHIND
        await database.fetch(EVERYBODY, text(MEND))
        assert await readiness(visitor) == (200, "")
        assert (await asyncio.to_thread(doctor.migrations, own.database_url)).state == "ok"


async def test_one_that_will_start_ahead_is_not_behind(own: Settings) -> None:
    async with chatting(own) as (visitor, database):
        await visitor.say("hello")
        restart = f"ALTER TABLE {ItemRow.__tablename__} ALTER COLUMN seq RESTART WITH 1000"
        await database.fetch(EVERYBODY, text(restart))
        assert await readiness(visitor) == (200, "")


async def test_a_table_that_is_too_long_for_a_probe_is_left_to_the_doctor(
    own: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def take_too_long(connection: AsyncConnection) -> bool:
        await connection.execute(text("SELECT pg_sleep(60)"))
        return False

    async with chatting(own) as (visitor, _):
        monkeypatch.setattr(sequence, "CHECK_SECONDS", 0.001)
        monkeypatch.setattr(sequence, "is_behind", take_too_long)
        assert await readiness(visitor) == (200, "")


async def test_a_retry_is_refused_and_nothing_is_deleted(own: Settings) -> None:
    async with chatting(own) as (visitor, database):
        turn = await visitor.say("hello")
        before = await visitor.items(turn.thread_id)
        await database.fetch(EVERYBODY, text(GO_BACK))
        again: dict[str, Any] = {"thread_id": turn.thread_id, "item_id": turn.user_message_id}

        refused = await visitor.send("threads.retry_after_item", **again)

        assert refused.status_code == 503
        assert await visitor.items(turn.thread_id) == before
        await database.fetch(EVERYBODY, text(MEND))
        assert (await visitor.stream("threads.retry_after_item", **again)).answer


async def test_a_retry_deletes_nothing_that_is_older_than_its_question(own: Settings) -> None:
    """Numbers were given twice once; the sequence has been mended since."""
    async with chatting(own) as (visitor, database):
        for _ in range(3):  # the numbers that are given again
            await visitor.say("in another conversation")
        old = await visitor.say("an old question")
        kept = {item["id"] for item in await visitor.items(old.thread_id)}
        await database.fetch(EVERYBODY, text(GO_BACK))
        new = await visitor.say("a new question", old.thread_id)
        await database.fetch(EVERYBODY, text(MEND))

        await visitor.stream(
            "threads.retry_after_item", thread_id=old.thread_id, item_id=new.user_message_id
        )

        items = await visitor.items(old.thread_id)
        assert kept <= {item["id"] for item in items}
        assert [item["type"] for item in items].count("assistant_message") == 2
