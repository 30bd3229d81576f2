"""How much one user, one thread and one process may ask for, on however many workers."""

import asyncio
import time
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any

import httpx2
import pytest
from sqlalchemy import DateTime, func, literal, select, text, update

from engine.database.database import EVERYBODY, Database
from engine.database.rows import ItemRow, RunRow, ThreadRow, TokenDayRow
from engine.runs.token_days import day_of
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.chat.test_interrupted import Watched
from engine.tests.chat.test_runs import open_stream
from engine.tests.fixtures import OneModel, Scripted, demo_model, serving, visiting
from engine.tests.talk import Visitor, message


def assert_refused(response: httpx2.Response, status: int, code: str) -> int:
    """The seconds to wait; 0 where waiting does not help."""
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    assert response.json()["error"]["message"]
    return int(response.headers.get("retry-after", 0))


async def rows_of(database: Database, user_id: str) -> list[int]:
    """How many threads, items and runs are the user's."""
    counts = []
    for row in (ThreadRow, ItemRow, RunRow):
        statement = select(func.count()).where(row.user_id == user_id)
        [found] = await database.fetch(user_id, statement)
        counts.append(found[0])
    return counts


async def ask(visitor: Visitor, **params: Any) -> httpx2.Response:
    return await visitor.send("threads.create", **{"input": message("hello"), **params})


async def test_so_many_turns_a_minute(
    with_model: Scripted, database: Database, settings: Settings
) -> None:
    visitor = await with_model(demo_model(), turns_per_minute=2)
    began = time.monotonic()
    for _ in range(2):
        assert (await ask(visitor)).status_code == 200
    before = await rows_of(database, visitor.user_id)

    wait = assert_refused(await ask(visitor), 429, "too_many_turns")

    assert 59 - (time.monotonic() - began) < wait <= 60
    assert await rows_of(database, visitor.user_id) == before
    # Nobody else's business, and over when the first of them is a minute old.
    async with visiting(str(visitor.client.base_url), settings) as other:
        assert (await ask(other)).status_code == 200
    oldest = select(func.min(RunRow.started_at)).where(RunRow.user_id == visitor.user_id)
    await database.write(
        visitor.user_id,
        update(RunRow)
        .where(RunRow.user_id == visitor.user_id, RunRow.started_at == oldest.scalar_subquery())
        .values(started_at=func.now() - timedelta(seconds=60)),
    )
    assert (await ask(visitor)).status_code == 200


@pytest.mark.usefixtures("no_checkpoints")  # which write rows
async def test_so_many_answers_at_once(with_model: Scripted, database: Database) -> None:
    model = Watched()
    visitor = await with_model(model, running_answers_per_user=1)
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(1)
        before = await rows_of(database, visitor.user_id)
        assert assert_refused(await ask(visitor), 429, "too_many_answers") > 0
        assert await rows_of(database, visitor.user_id) == before
        model.hurry()
        await stream.rest()
    assert (await ask(visitor)).status_code == 200


async def test_so_many_answers_in_a_process(with_model: Scripted) -> None:
    model = Watched()
    visitor = await with_model(model, answers_per_process=1)
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(1)
        assert assert_refused(await ask(visitor), 429, "server_busy") > 0
        model.hurry()
        await stream.rest()
    assert (await ask(visitor)).status_code == 200


async def test_so_many_tokens_a_day(with_model: Scripted, database: Database) -> None:
    visitor = await with_model(demo_model(), tokens_per_day=1_000)
    turn = await visitor.say("hello")
    used = select(TokenDayRow.tokens).where(TokenDayRow.user_id == visitor.user_id)
    assert 0 < (await database.fetch(visitor.user_id, used))[0].tokens < 1_000
    mine = update(TokenDayRow).where(TokenDayRow.user_id == visitor.user_id)
    await database.write(visitor.user_id, mine.values(tokens=1_000))
    assert 0 < assert_refused(await ask(visitor), 429, "daily_tokens_used") <= 24 * 3600

    # What was deleted has been used all the same.
    await visitor.send("threads.delete", thread_id=turn.thread_id)
    assert_refused(await ask(visitor), 429, "daily_tokens_used")

    yesterday = TokenDayRow.day - 1
    await database.write(visitor.user_id, mine.values(day=yesterday))
    assert (await ask(visitor)).status_code == 200


async def test_each_answer_of_a_day_is_counted_once(
    with_model: Scripted, database: Database
) -> None:
    visitor = await with_model(demo_model())
    for _ in range(3):
        await visitor.say("hello")
    mine = RunRow.user_id == visitor.user_id
    runs = select(func.sum(RunRow.tokens_in + RunRow.tokens_out).label("tokens")).where(mine)
    counted = select(func.sum(TokenDayRow.tokens).label("tokens")).where(
        TokenDayRow.user_id == visitor.user_id
    )

    [used] = await database.fetch(visitor.user_id, runs)
    assert [row.tokens for row in await database.fetch(visitor.user_id, counted)] == [used.tokens]


async def test_a_day_is_utcs_in_any_time_zone_of_the_database(database: Database) -> None:
    moment = literal(datetime(2026, 1, 31, 12, tzinfo=UTC), DateTime(timezone=True))
    async with database.transaction(EVERYBODY) as connection:
        await connection.execute(text("SET LOCAL TIME ZONE 'Pacific/Kiritimati'"))  # UTC+14
        assert await connection.scalar(select(day_of(moment))) == date(2026, 1, 31)


async def test_no_limit_of_tokens(with_model: Scripted, database: Database) -> None:
    visitor = await with_model(demo_model(), tokens_per_day=0)
    assert (await ask(visitor)).status_code == 200
    mine = update(TokenDayRow).where(TokenDayRow.user_id == visitor.user_id)
    await database.write(visitor.user_id, mine.values(tokens=10**12))
    assert (await ask(visitor)).status_code == 200


async def test_so_long_a_message(with_model: Scripted, database: Database) -> None:
    visitor = await with_model(demo_model(), message_chars=10)
    assert (await ask(visitor, input=message("x" * 10))).status_code == 200
    before = await rows_of(database, visitor.user_id)
    assert_refused(await ask(visitor, input=message("x" * 11)), 413, "message_too_long")
    quoting = {**message("x" * 5), "quoted_text": "y" * 6}
    assert_refused(await ask(visitor, input=quoting), 413, "message_too_long")
    assert await rows_of(database, visitor.user_id) == before


RACES = {
    "of one user": ({}, "too_many_answers", 3),
    "of one key": ({"Idempotency-Key": "same"}, "repeated_request", 1),
}


@pytest.mark.parametrize("race", RACES)
async def test_ten_at_once_on_two_workers(
    settings: Settings, database: Database, race: str
) -> None:
    headers, code, allowed = RACES[race]
    changed = settings.model_copy(update={"running_answers_per_user": 3})
    model = Watched()
    async with AsyncExitStack() as stack:
        visitors: list[Visitor] = []
        for _ in range(2):
            app = create_app(changed, OneModel(changed, model))
            url = await stack.enter_async_context(serving(app))
            known = visitors[0].user_id if visitors else None
            visitors.append(await stack.enter_async_context(visiting(url, changed, user_id=known)))
        requests = [
            asyncio.create_task(
                visitors[n % 2].send("threads.create", headers=headers, input=message("hello"))
            )
            for n in range(10)
        ]
        for refused in islice(asyncio.as_completed(requests), 10 - allowed):
            await refused
        model.hurry()
        responses = await asyncio.gather(*requests)

    outcomes = Counter(
        "answered" if r.status_code == 200 else r.json()["error"]["code"] for r in responses
    )
    assert outcomes == {"answered": allowed, code: 10 - allowed}
    assert (await rows_of(database, visitors[0].user_id))[2] == allowed


async def test_two_workers_share_the_count_of_turns(settings: Settings) -> None:
    changed = settings.model_copy(update={"turns_per_minute": 2})
    async with AsyncExitStack() as stack:
        first_url = await stack.enter_async_context(serving(create_app(changed)))
        second_url = await stack.enter_async_context(serving(create_app(changed)))
        here = await stack.enter_async_context(visiting(first_url, changed))
        there = await stack.enter_async_context(visiting(second_url, changed, user_id=here.user_id))
        assert (await ask(here)).status_code == 200
        assert (await ask(there)).status_code == 200
        assert_refused(await ask(here), 429, "too_many_turns")
        assert_refused(await ask(there), 429, "too_many_turns")
