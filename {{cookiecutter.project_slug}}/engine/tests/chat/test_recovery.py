"""Runs of a worker that died are closed, with the text that they had stored."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from chatkit.types import HiddenContextItem, ThreadItem
from fastapi import FastAPI
from sqlalchemy import func, select, update

from engine.context.ids import new_id, new_run_id
from engine.context.request_context import RequestContext
from engine.context.run import Run
from engine.database.database import Database
from engine.database.rows import ItemRow, RunRow
from engine.runs.claim import MINUTE
from engine.settings.settings import Settings
from engine.telemetry import measures
from engine.tests.application import create_app
from engine.tests.chat.test_interrupted import Watched
from engine.tests.chat.test_runs import open_stream, status
from engine.tests.fixtures import OneModel, serving, visiting
from engine.tests.talk import Visitor, message


@pytest.fixture
async def served(settings: Settings) -> AsyncIterator[tuple[FastAPI, Visitor]]:
    app = create_app(settings)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(app))
        yield app, await stack.enter_async_context(visiting(url, settings))


async def begin(app: FastAPI, visitor: Visitor, request: str, thread_id: str, key: str) -> Run:
    """A run whose worker gets as far as this."""
    run = Run(new_run_id(), visitor.user_id, thread_id, request)
    await app.state.chat.run_store.claim(run, key, new_thread=request == "threads.create")
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
        await app.state.chat.recovery.close_abandoned()
        again = await visitor.send(request, headers=key, input=message("and?"), **params)
        third = await visitor.send(request, headers=key, input=message("and?"), **params)

        assert (early.status_code, early.json()["error"]["code"]) == (503, "unavailable")
        assert await status(database, visitor, run.id) == "interrupted"
        assert again.status_code == 200
        assert '"user_message"' in again.text
        assert third.json()["error"]["code"] == "repeated_request"
    kinds = [item["type"] for item in await visitor.items(first.thread_id)]
    assert kinds == ["user_message", "workflow", "assistant_message"] * 2


async def test_an_abandoned_run_is_counted_once(
    served: tuple[FastAPI, Visitor], database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []
    monkeypatch.setattr(measures.abandoned_answers, "add", counted.append)
    app, visitor = served
    run = await begin(app, visitor, "threads.create", new_id("thread"), "counted")
    await die(database, run)
    for _ in range(2):
        await app.state.chat.recovery.close_abandoned()

    assert sum(counted) == 1


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

    await app.state.chat.recovery.close_abandoned()

    statement = select(RunRow.id).where(
        RunRow.user_id == visitor.user_id, RunRow.status == "running"
    )
    open_ = await database.fetch(visitor.user_id, statement)
    assert [row.id for row in open_] == [runs[0].id]
    runs[0].status = "failed"
    await app.state.chat.run_store.end(runs[0])


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
        await die(database, app.state.chat.runs._live[visitor.user_id, stream.run_id])

        await app.state.chat.recovery.close_abandoned()

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
        await die(database, paused.state.chat.runs._live[other.user_id, stream.run_id])
        await app.state.chat.recovery.close_abandoned()
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


async def tokens(database: Database, run: Run) -> tuple[int, int]:
    statement = select(RunRow.tokens_in, RunRow.tokens_out).where(
        RunRow.user_id == run.user_id, RunRow.id == run.id
    )
    [row] = await database.fetch(run.user_id, statement)
    return row.tokens_in, row.tokens_out


@pytest.mark.usefixtures("no_checkpoints")
@pytest.mark.parametrize("history_tokens", [32_000, 1_000])
async def test_an_answer_counts_although_its_worker_died(
    settings: Settings, database: Database, history_tokens: int
) -> None:
    model = Watched()
    changed = settings.model_copy(
        update={"history_tokens": history_tokens, "tokens_per_day": 3_000}
    )
    async with AsyncExitStack() as stack:
        apps = [create_app(changed, OneModel(changed, model)) for _ in range(2)]
        urls = [await stack.enter_async_context(serving(app)) for app in apps]
        visitor = await stack.enter_async_context(visiting(urls[0], changed))
        other = await stack.enter_async_context(visiting(urls[1], changed, user_id=visitor.user_id))
        stream = await open_stream(stack, visitor, "long " * 1_800)
        await stream.words(5)
        run = apps[0].state.chat.runs._live[visitor.user_id, stream.run_id]
        await apps[0].state.chat.runs._checkpoints.write([run])
        assert await tokens(database, run) == (0, 0)
        await die(database, run)

        await apps[1].state.chat.recovery.close_abandoned()

        asked, said = await tokens(database, run)
        assert (asked == 1_000) if history_tokens == 1_000 else (3_000 < asked < 3_200)
        assert len(stream.heard) // 3 <= said < len(stream.heard)
        model.hurry()
        response = await other.send("threads.create", input=message("and?"))
        assert response.status_code == (200 if history_tokens == 1_000 else 429)
        await stream.rest()
    assert await tokens(database, run) == (asked, said)


async def test_what_a_tool_did_was_asked_about_again(
    served: tuple[FastAPI, Visitor], database: Database
) -> None:
    app, visitor = served
    asked = []
    for calls in (0, 1, 2):
        turn = await visitor.say("x" * 600)
        run = await begin(app, visitor, "threads.add_user_message", turn.thread_id, f"t-{calls}")
        first = await app.state.chat.store.load_item(
            turn.thread_id, turn.user_message_id, RequestContext(visitor.user_id)
        )
        about = {"thread_id": turn.thread_id, "created_at": first.created_at}
        items: list[ThreadItem] = [first.model_copy(update={"id": new_id("message")})]
        items += [
            HiddenContextItem(id=new_id("tool_call"), content="", **about) for _ in range(calls)
        ]
        for item in items:
            await app.state.chat.store.save_item(
                turn.thread_id, item, RequestContext(visitor.user_id)
            )
        await die(database, run)
        await app.state.chat.recovery.close_abandoned()
        asked.append((await tokens(database, run))[0])

    assert 400 < asked[0] < 900
    assert all(1.9 * asked[0] < more < 2.3 * asked[0] for more in asked[1:])


@pytest.mark.parametrize("request_", ["threads.add_user_message", "threads.custom_action"])
async def test_a_run_that_asked_no_model_counts_nothing(
    served: tuple[FastAPI, Visitor], database: Database, request_: str
) -> None:
    app, visitor = served
    turn = await visitor.say("hello")
    run = await begin(app, visitor, request_, turn.thread_id, request_)
    await die(database, run)

    await app.state.chat.recovery.close_abandoned()

    assert await status(database, visitor, run.id) == "interrupted"
    assert await tokens(database, run) == (0, 0)
