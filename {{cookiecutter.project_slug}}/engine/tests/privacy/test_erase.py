"""Erasing a user leaves no row that names the user, and the id does not come back."""

import asyncio
import secrets
from contextlib import AsyncExitStack
from functools import partial

import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import IntegrityError

from engine.database.database import ERASED_OWNER, EVERYBODY, PROJECT_OWNER, Database
from engine.database.rows import RunRow, TokenDayRow, UsageRow, UserRow
from engine.database.users import ensure_user
from engine.operate.privacy import erase as erasing
from engine.operate.privacy.erase import erase, is_erased, readmit
from engine.settings.settings import Settings
from engine.tests.chat.test_interrupted import Watched
from engine.tests.chat.test_runs import open_stream
from engine.tests.fixtures import Scripted, visiting
from engine.tests.privacy.everything import every_owned_table, fill, rows_of, tables_with
from engine.tests.talk import PATIENCE_SECONDS, Visitor, message, until

REFUSED = (401, 403)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "SETTLE_SECONDS", 0.05)


def new_user() -> str:
    return f"erase-{secrets.token_hex(8)}"


async def test_no_table_has_a_row_that_names_the_user(database: Database) -> None:
    user, other = new_user(), new_user()
    for one in (user, other):
        await fill(database, one, f"word-{one}")
    before = await rows_of(database, other)
    async with database.reading(EVERYBODY) as connection:
        filled = await tables_with(connection, user)
    assert {table.name for table in every_owned_table()} <= set(filled)

    erased = await erase(database, user)

    assert erased.rows >= len(every_owned_table()) - 1
    async with database.reading(EVERYBODY) as connection:
        assert await tables_with(connection, user) == []
    assert await rows_of(database, other) == before


def test_every_table_of_the_engine_says_what_it_holds() -> None:
    tables = [table for table in every_owned_table() if "holds" not in table.info]
    assert [table.name for table in tables] == []


async def test_what_was_used_stays_without_a_name(visitor: Visitor, database: Database) -> None:
    await visitor.say("hello")
    used = select(
        func.coalesce(func.sum(UsageRow.turns), 0).label("turns"),
        func.coalesce(func.sum(UsageRow.tokens_in), 0).label("tokens"),
    )
    [mine] = await database.read(EVERYBODY, used.where(UsageRow.user_id == visitor.user_id))
    [before] = await database.read(EVERYBODY, used.where(UsageRow.user_id == ERASED_OWNER))
    assert mine.turns == 1

    await erase(database, visitor.user_id)

    [after] = await database.read(EVERYBODY, used.where(UsageRow.user_id == ERASED_OWNER))
    assert after.turns == before.turns + 1
    assert after.tokens == before.tokens + mine.tokens


async def test_the_id_does_not_come_back(visitor: Visitor, database: Database) -> None:
    turn = await visitor.say("hello")
    await erase(database, visitor.user_id)

    again = await visitor.send("threads.create", input=message("hello again"))
    assert again.status_code in REFUSED
    later = await visitor.send(
        "threads.add_user_message", thread_id=turn.thread_id, input=message("still there?")
    )
    assert later.status_code in (*REFUSED, 404)
    assert await rows_of(database, visitor.user_id) == {}
    assert await is_erased(database, visitor.user_id)


async def test_one_who_was_erased_by_mistake_can_be_let_in(
    database: Database, base_url: str, settings: Settings
) -> None:
    user = new_user()
    async with visiting(base_url, settings, user_id=user) as visitor:
        await visitor.say("hello")
    await erase(database, user)

    assert await readmit(database, user)
    assert not await readmit(database, user)

    async with visiting(base_url, settings, user_id=user) as visitor:
        await visitor.say("hello again")
        assert len((await visitor.send("threads.list")).json()["data"]) == 1


async def test_a_user_whose_row_is_gone_without_an_erasure_comes_back(
    database: Database, visitor: Visitor, stranger: Visitor
) -> None:
    await erase(database, stranger.user_id)
    await visitor.say("hello")


async def test_an_open_answer_is_stopped_and_leaves_nothing(
    with_model: Scripted, database: Database
) -> None:
    model = Watched()
    visitor = await with_model(model)
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(1)

        await erase(database, visitor.user_id)

        async with asyncio.timeout(PATIENCE_SECONDS):
            await stream.rest()  # the model would go on for ever
    assert await rows_of(database, visitor.user_id) == {}


async def test_what_was_about_to_be_written_is_not_written_after(database: Database) -> None:
    """A statement that began before the erasure, and ends after its row is deleted."""
    user = new_user()
    await database.write(user, ensure_user(user))
    async with database.transaction(user) as connection:
        await connection.execute(ensure_user(user))
        day = {"day": func.current_date(), "tokens": 1}
        await connection.execute(insert(TokenDayRow).values(user_id=user, **day))
        task = asyncio.create_task(erase(database, user))
        await until(partial(waits_for_a_lock, database, UserRow.__tablename__))
    await task

    assert await rows_of(database, user) == {}
    with pytest.raises(IntegrityError):
        await database.write(user, insert(TokenDayRow).values(user_id=user, **day))


async def waits_for_a_lock(database: Database, table: str) -> bool:
    """True while a DELETE from that table waits for another transaction."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND wait_event_type = 'Lock' AND query LIKE 'DELETE FROM ' || :table || ' %'"
    )
    [row] = await database.read(EVERYBODY, waiting.bindparams(table=table))
    return bool(row[0])


async def test_erasing_twice_does_no_harm(database: Database) -> None:
    user = new_user()
    await fill(database, user, user)
    assert (await erase(database, user)).rows
    assert (await erase(database, user)).rows == 0
    assert (await erase(database, new_user())).rows == 0


@pytest.mark.parametrize("owner", [PROJECT_OWNER, ERASED_OWNER])
async def test_what_is_no_user_is_not_erased(database: Database, owner: str) -> None:
    with pytest.raises(ValueError, match="is no user"):
        await erase(database, owner)


async def test_runs_of_others_go_on(
    visitor: Visitor, stranger: Visitor, database: Database
) -> None:
    await stranger.say("hello")
    runs = select(RunRow.id).where(RunRow.user_id == stranger.user_id)
    await visitor.say("hello")

    await erase(database, visitor.user_id)

    assert len(await database.read(EVERYBODY, runs)) == 1
    await stranger.say("and again")
