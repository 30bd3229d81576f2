"""What becomes of the runs of a worker that died, and of what they had not stored."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from fastapi import FastAPI
from sqlalchemy import func, select, update

from app.chat.claim import MINUTE
from app.chat.ids import new_id, new_run_id
from app.chat.models import ItemRow, RunRow
from app.chat.run import Run
from app.config import Settings
from app.db import Database
from app.main import create_app
from tests.chat.test_interrupted import Watched
from tests.chat.test_runs import open_stream, status
from tests.conftest import OneModel, serving, visiting
from tests.talk import Visitor, message


@pytest.fixture
async def served(settings: Settings) -> AsyncIterator[tuple[FastAPI, Visitor]]:
    app = create_app(settings)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(app))
        yield app, await stack.enter_async_context(visiting(url, settings))


async def begin(app: FastAPI, visitor: Visitor, request: str, thread_id: str, key: str) -> Run:
    """A run whose worker gets as far as this."""
    run = Run(new_run_id(), visitor.user_id, thread_id, request=request, model="m")
    await app.state.run_store.claim(run, key, new_thread=request == "threads.create")
    return run


async def die(database: Database, run: Run) -> None:
    """Its last sign of life is long past."""
    statement = (
        update(RunRow)
        .where(RunRow.user_id == run.user_id, RunRow.id == run.id)
        .values(heartbeat_at=func.now() - MINUTE)
    )
    await database.fetch(run.user_id, statement)


async def test_a_request_whose_message_was_lost_with_its_worker_may_be_sent_again(
    served: tuple[FastAPI, Visitor], database: Database
) -> None:
    app, visitor = served
    first = await visitor.say("hello")
    for request in ("threads.create", "threads.add_user_message"):
        thread_id = new_id("thread") if request == "threads.create" else first.thread_id
        run = await begin(app, visitor, request, thread_id, request)
        key = {"Idempotency-Key": request}
        params = {} if request == "threads.create" else {"thread_id": thread_id}

        early = await visitor.send(request, headers=key, input=message("and?"), **params)
        await die(database, run)
        await app.state.recovery.close_abandoned()
        again = await visitor.send(request, headers=key, input=message("and?"), **params)
        third = await visitor.send(request, headers=key, input=message("and?"), **params)

        assert (early.status_code, early.json()["error"]["code"]) == (503, "unavailable")
        assert await status(database, visitor, run.id) == "interrupted"
        assert again.status_code == 200
        assert '"user_message"' in again.text
        assert third.json()["error"]["code"] == "repeated_request"
    kinds = [item["type"] for item in await visitor.items(first.thread_id)]
    assert kinds == ["user_message", "workflow", "assistant_message"] * 2


async def test_a_run_that_cannot_be_closed_does_not_keep_the_others_open(
    served: tuple[FastAPI, Visitor], database: Database
) -> None:
    app, visitor = served
    runs = []
    for number in range(2):
        thread_id = (await visitor.say("hello")).thread_id
        runs.append(await begin(app, visitor, "threads.retry_after_item", thread_id, f"k-{number}"))
    # What an older release may have stored, or a newer one.
    broken = (
        update(ItemRow)
        .where(ItemRow.user_id == visitor.user_id, ItemRow.thread_id == runs[0].thread_id)
        .values(payload={"type": "of which nobody knows"})
    )
    await database.fetch(visitor.user_id, broken)
    start = update(RunRow).where(RunRow.user_id == visitor.user_id).values(start_seq=0)
    await database.fetch(visitor.user_id, start)
    for run in runs:
        await die(database, run)

    await app.state.recovery.close_abandoned()

    statement = select(RunRow.id).where(
        RunRow.user_id == visitor.user_id, RunRow.status == "running"
    )
    open_ = await database.fetch(visitor.user_id, statement)
    assert [row.id for row in open_] == [runs[0].id]
    runs[0].status = "failed"
    await app.state.run_store.end(runs[0])


@pytest.mark.usefixtures("no_checkpoints")
async def test_a_worker_that_is_slow_does_not_take_itself_for_dead(
    settings: Settings, database: Database
) -> None:
    model = Watched()
    app = create_app(settings, OneModel(settings, model))
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(app))
        visitor = await stack.enter_async_context(visiting(url, settings))
        stream = await open_stream(stack, visitor)
        await stream.words(1)
        await die(database, app.state.runs._live[visitor.user_id, stream.run_id])

        await app.state.recovery.close_abandoned()

        assert await status(database, visitor, stream.run_id) == "running"
        model.hurry()
        await stream.rest()
    assert await status(database, visitor, stream.run_id) == "done"


@pytest.mark.usefixtures("no_checkpoints")
async def test_who_wakes_up_after_its_run_was_closed_writes_nothing_more(
    served: tuple[FastAPI, Visitor], settings: Settings, database: Database
) -> None:
    """A machine that was paused, or cut off from the database, while the others went on."""
    app, other = served
    async with AsyncExitStack() as stack:
        model = Watched()
        paused = create_app(settings, OneModel(settings, model))
        url = await stack.enter_async_context(serving(paused))
        visitor = await stack.enter_async_context(visiting(url, settings, user_id=other.user_id))
        stream = await open_stream(stack, visitor)
        await stream.words(3)
        await die(database, paused.state.runs._live[other.user_id, stream.run_id])
        await app.state.recovery.close_abandoned()
        assert await status(database, other, stream.run_id) == "interrupted"
        turn = await other.say("and?", stream.thread_id)
        model.hurry()
        events = await stream.rest()

    assert turn.answer
    assert events[-1]["type"] == "error"
    assert [item["type"] for item in await other.items(stream.thread_id)] == [
        *("user_message", "workflow", "task"),
        *("user_message", "workflow", "assistant_message"),
    ]
    assert await status(database, other, stream.run_id) == "interrupted"
