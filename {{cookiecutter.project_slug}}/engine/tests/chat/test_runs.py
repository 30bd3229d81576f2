"""One run at a time in a thread, whoever listens and on whichever worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import httpx2
import pytest
from sqlalchemy import Executable, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.context.run import Run
from engine.database.database import Database
from engine.database.rows import ItemRow, RunRow, ThreadRow
from engine.runs import checkpoints
from engine.runs import runs as runs_module
from engine.runs.command_listener import CommandListener
from engine.runs.runs import Runs
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.chat.test_interrupted import Watched
from engine.tests.chat.test_salvage import FailsBeforeItsFirstWord
from engine.tests.fixtures import OneModel, Scripted, demo_model, serving, visiting
from engine.tests.talk import PATIENCE_SECONDS, Event, Visitor, is_text, message, streamed, until

pytestmark = pytest.mark.long


class Stream:
    """An answer that is being heard, and may be left in the middle."""

    def __init__(self, response: httpx2.Response) -> None:
        self.run_id = response.headers["x-run-id"]
        self._events = streamed(response)
        self.thread_id = ""
        self.heard = ""

    async def words(self, count: int) -> None:
        async for event in self._events:
            if event["type"] == "thread.created":
                self.thread_id = event["thread"]["id"]
            if is_text(event):
                self.heard += event["update"]["delta"]
                count -= 1
            if count <= 0 and self.heard:
                return

    async def rest(self) -> list[Event]:
        return [event async for event in self._events]


async def open_stream(
    stack: AsyncExitStack, visitor: Visitor, text: str = "hello", **headers: str
) -> Stream:
    body = {"type": "threads.create", "params": {"input": message(text)}}
    request = visitor.client.stream("POST", "/chatkit", json=body, headers=headers)
    return Stream(await stack.enter_async_context(request))


async def status(database: Database, visitor: Visitor, run_id: str) -> str:
    statement = select(RunRow.status).where(RunRow.user_id == visitor.user_id, RunRow.id == run_id)
    [row] = await database.fetch(visitor.user_id, statement)
    return str(row.status)


async def ended(database: Database, visitor: Visitor, run_id: str) -> str:
    """How it ended, once it has."""

    async def outcome() -> str | None:
        found = await status(database, visitor, run_id)
        return None if found == "running" else found

    return await until(outcome) or ""


def told_of(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> asyncio.Event:
    """Set when that method has been called."""
    called, method = asyncio.Event(), getattr(owner, name)

    def telling(*args: Any) -> Any:
        try:
            return method(*args)
        finally:
            called.set()

    monkeypatch.setattr(owner, name, telling)
    return called


async def outlast_silence(model: Watched) -> None:
    """Let it go on for as long as an answer may whose listener has gone without a word."""
    await asyncio.sleep(1.5 * runs_module.LEAVE_SECONDS)
    model.hurry()


async def stored_answer(visitor: Visitor, thread_id: str) -> str:
    items = await visitor.items(thread_id)
    return "".join(i["content"][0]["text"] for i in items if i["type"] == "assistant_message")


@pytest.fixture
async def two_workers(settings: Settings) -> AsyncIterator[tuple[Visitor, Visitor, Watched]]:
    """One user at two workers that share a database and nothing else, and the first's model."""
    model = Watched()
    async with AsyncExitStack() as stack:
        one = create_app(settings, OneModel(settings, model))
        url = await stack.enter_async_context(serving(one))
        first = await stack.enter_async_context(visiting(url, settings))
        other_url = await stack.enter_async_context(serving(create_app(settings)))
        second = await stack.enter_async_context(
            visiting(other_url, settings, user_id=first.user_id)
        )
        yield first, second, model


async def test_a_second_message_during_an_answer_is_refused(
    with_model: Scripted, database: Database
) -> None:
    model = Watched()
    visitor = await with_model(model)
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(1)
        refused = await visitor.send(
            "threads.add_user_message", thread_id=stream.thread_id, input=message("and?")
        )
        retried = await visitor.send(
            "threads.retry_after_item",
            thread_id=stream.thread_id,
            item_id=(await visitor.items(stream.thread_id))[0]["id"],
        )
        model.hurry()
        elsewhere = await visitor.say("another conversation")
        await stream.rest()

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "run_in_progress")
    assert retried.status_code == 409
    assert elsewhere.answer
    assert [i["type"] for i in await visitor.items(stream.thread_id)].count("user_message") == 1
    assert (await visitor.say("now?", stream.thread_id)).answer
    assert await status(database, visitor, stream.run_id) == "done"


async def test_a_request_that_is_sent_again_is_not_answered_twice(with_model: Scripted) -> None:
    model = Watched()
    visitor = await with_model(model)
    key = {"Idempotency-Key": "the-same"}
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor, **key)
        await stream.words(1)
        during = await visitor.send("threads.create", headers=key, input=message("hello"))
        model.hurry()
        await stream.rest()
    after = await visitor.send("threads.create", headers=key, input=message("hello"))

    for response in (during, after):
        assert response.status_code == 409
        assert response.json()["error"]["code"] == "repeated_request"
        assert response.json()["error"]["thread_id"] == stream.thread_id
        assert response.json()["error"]["run_id"] == stream.run_id
    assert len((await visitor.send("threads.list")).json()["data"]) == 1


async def test_stop_stops_the_model_and_keeps_what_was_said(
    with_model: Scripted, database: Database
) -> None:
    model = Watched()
    visitor = await with_model(model, on_disconnect="finish")
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(2)
        response = await visitor.client.post(f"/chatkit/runs/{stream.run_id}/stop")
        assert response.status_code == 204
        await asyncio.wait_for(model.stopped.wait(), PATIENCE_SECONDS)
        await stream.rest()

    assert await status(database, visitor, stream.run_id) == "stopped"
    assert (await stored_answer(visitor, stream.thread_id)).startswith(stream.heard)


async def test_who_breaks_the_connection_without_a_word_stops_the_answer(
    with_model: Scripted, database: Database
) -> None:
    visitor = await with_model(Watched())
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(2)

    assert await ended(database, visitor, stream.run_id) == "stopped"


async def test_the_next_message_need_not_wait_for_a_stop(
    with_model: Scripted, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_module, "LEAVE_SECONDS", 600)
    monkeypatch.setattr(runs_module, "SETTLE_SECONDS", PATIENCE_SECONDS)
    gone = told_of(monkeypatch, Runs, "_client_disconnected")
    model = Watched()
    visitor = await with_model(model)
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(2)
    await asyncio.wait_for(gone.wait(), PATIENCE_SECONDS)
    model.pause_seconds = 0
    turn = await visitor.say("something else", stream.thread_id)

    assert turn.answer
    assert await status(database, visitor, stream.run_id) == "stopped"
    assert [i["type"] for i in await visitor.items(stream.thread_id)] == [
        *("user_message", "workflow", "assistant_message"),
        *("user_message", "workflow", "assistant_message"),
    ]


@pytest.mark.parametrize("said_at", ["before", "after"])
async def test_who_leaves_finds_the_whole_answer(
    with_model: Scripted, database: Database, monkeypatch: pytest.MonkeyPatch, said_at: str
) -> None:
    """The beacon may overtake the end of the connection, or come after it."""
    if said_at == "after":
        monkeypatch.setattr(runs_module, "LEAVE_SECONDS", 3)  # on a slow machine, too
    model = Watched()
    visitor = await with_model(model)
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(2)
        leave = f"/chatkit/runs/{stream.run_id}/leave"
        if said_at == "before":
            assert (await visitor.client.post(leave)).status_code == 204
    if said_at == "after":
        assert (await visitor.client.post(leave)).status_code == 204

    running = await visitor.client.get(f"/chatkit/threads/{stream.thread_id}/run")
    assert running.json() == {"run": {"id": stream.run_id, "status": "running"}}
    await outlast_silence(model)
    assert await ended(database, visitor, stream.run_id) == "done"
    running = await visitor.client.get(f"/chatkit/threads/{stream.thread_id}/run")
    assert running.json() == {"run": None}
    assert "does not think" in await stored_answer(visitor, stream.thread_id)


async def test_the_setting_lets_an_answer_finish_whose_connection_broke(
    with_model: Scripted, database: Database
) -> None:
    model = Watched()
    visitor = await with_model(model, on_disconnect="finish")
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(2)

    await outlast_silence(model)
    assert await ended(database, visitor, stream.run_id) == "done"
    assert "does not think" in await stored_answer(visitor, stream.thread_id)


async def test_what_has_been_said_is_stored_while_it_is_said(
    with_model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.2)
    model = Watched()
    visitor = await with_model(model)
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(10)
        stored = await until(partial(stored_answer, visitor, stream.thread_id))
        kinds = [item["type"] for item in await visitor.items(stream.thread_id)]
        model.hurry()
        await stream.rest()

    assert kinds == ["user_message", "workflow", "assistant_message"]
    assert [i["type"] for i in await visitor.items(stream.thread_id)] == kinds
    whole = await stored_answer(visitor, stream.thread_id)
    assert whole.startswith(stored)
    assert whole.count("You said") == 1


@pytest.mark.usefixtures("no_checkpoints")
@pytest.mark.parametrize("command", ["stop", "leave"])
async def test_a_command_reaches_the_worker_that_has_the_run(
    two_workers: tuple[Visitor, Visitor, Watched],
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    here, there, model = two_workers
    left = told_of(monkeypatch, Run, "leave")
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, here)
        await stream.words(2)
        response = await there.client.post(f"/chatkit/runs/{stream.run_id}/{command}")
        assert response.status_code == 204
        if command == "stop":
            await asyncio.wait_for(model.stopped.wait(), PATIENCE_SECONDS)
        else:
            await asyncio.wait_for(left.wait(), PATIENCE_SECONDS)

    if command == "leave":
        await outlast_silence(model)
    expected = {"stop": "stopped", "leave": "done"}[command]
    assert await ended(database, here, stream.run_id) == expected


async def test_a_command_that_was_not_received_is_found_at_the_next_checkpoint(
    settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(CommandListener, "start", lambda self: None)
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.1)
    async with AsyncExitStack() as stack:
        visitors = []
        for _ in range(2):
            app = create_app(settings, OneModel(settings, Watched()))
            url = await stack.enter_async_context(serving(app))
            visitors.append(
                await stack.enter_async_context(visiting(url, settings, user_id="two-workers"))
            )
        here, there = visitors
        stream = await open_stream(stack, here)
        await stream.words(2)
        await there.client.post(f"/chatkit/runs/{stream.run_id}/stop")

        assert await ended(database, here, stream.run_id) == "stopped"


@pytest.mark.parametrize("command", ["stop", "leave"])
async def test_nobody_commands_another_users_run(
    with_model: Scripted, stranger: Visitor, database: Database, command: str
) -> None:
    model = Watched()
    visitor = await with_model(model)
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(2)
        refused = await stranger.client.post(f"/chatkit/runs/{stream.run_id}/{command}")
        assert refused.status_code == 404
        asked = await stranger.client.get(f"/chatkit/threads/{stream.thread_id}/run")
        assert asked.status_code == 404
        model.hurry()
        await stream.rest()

    assert await status(database, visitor, stream.run_id) == "done"


async def test_nobody_commands_a_run_without_signing_in(base_url: str) -> None:
    async with httpx2.AsyncClient(base_url=base_url, timeout=30) as client:
        for path in ("/chatkit/runs/run_x/stop", "/chatkit/runs/run_x/leave"):
            assert (await client.post(path)).status_code == 401
        assert (await client.get("/chatkit/threads/thr_x/run")).status_code == 401


async def test_a_run_whose_thread_is_deleted_ends(
    with_model: Scripted, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "CHECKPOINT_SECONDS", 0.1)
    model = Watched()
    visitor = await with_model(model)
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(2)
        await visitor.send("threads.delete", thread_id=stream.thread_id)
        await asyncio.wait_for(model.stopped.wait(), PATIENCE_SECONDS)
        await stream.rest()

    assert await status(database, visitor, stream.run_id) == "stopped"


async def test_a_failed_run_is_told_apart(with_model: Scripted, database: Database) -> None:
    visitor = await with_model(demo_model())
    response = await visitor.send("threads.create", input=message("[demo:fail]"))
    assert await status(database, visitor, response.headers["x-run-id"]) == "failed"


async def test_a_run_counts_its_tokens_whether_it_was_cut_or_not(
    with_model: Scripted, database: Database
) -> None:
    async def tokens(run_id: str) -> Any:
        statement = select(RunRow.tokens_in, RunRow.tokens_out).where(RunRow.id == run_id)
        [row] = await database.fetch(visitor.user_id, statement)
        return row

    visitor = await with_model(Watched())
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(8)
    assert await ended(database, visitor, stream.run_id) == "stopped"
    cut = await tokens(stream.run_id)
    assert cut.tokens_in > 0
    assert cut.tokens_out >= len(stream.heard) // 3


async def test_leaving_in_the_middle_of_listening_ends_the_response(with_model: Scripted) -> None:
    visitor = await with_model(Watched())
    async with AsyncExitStack() as stack:
        stream = await open_stream(stack, visitor)
        await stream.words(2)
        await visitor.client.post(f"/chatkit/runs/{stream.run_id}/leave")
        rest = await asyncio.wait_for(stream.rest(), PATIENCE_SECONDS)

    assert not any(event["type"] == "thread.item.done" for event in rest)


@asynccontextmanager
async def held(database: Database, statement: Executable) -> AsyncIterator[AsyncConnection]:
    """Nobody gets past what this statement locks, until the end."""
    async with database.engine.connect() as connection:
        await connection.execute(statement)
        yield connection
        await connection.rollback()


async def test_a_stop_waits_for_the_message_to_be_stored_and_is_marked(
    with_model: Scripted, database: Database
) -> None:
    model = Watched()
    visitor = await with_model(model)
    model.pause_seconds = 0
    thread_id = (await visitor.say("hello")).thread_id
    model.pause_seconds = 0.05
    lock = select(ThreadRow.id).where(ThreadRow.id == thread_id).with_for_update()
    body = {
        "type": "threads.add_user_message",
        "params": {"thread_id": thread_id, "input": message("and?")},
    }
    async with AsyncExitStack() as stack:
        async with held(database, lock):
            response = await stack.enter_async_context(
                visitor.client.stream("POST", "/chatkit", json=body)
            )
            stream = Stream(response)
            await visitor.client.post(f"/chatkit/runs/{stream.run_id}/stop")
            await asyncio.sleep(0.2)
        await stream.rest()

    assert await status(database, visitor, stream.run_id) == "stopped"
    statement = (
        select(ItemRow.type)
        .where(ItemRow.user_id == visitor.user_id, ItemRow.thread_id == thread_id)
        .order_by(ItemRow.seq)
    )
    kinds = [row.type for row in await database.fetch(visitor.user_id, statement)]
    assert kinds[3:] == ["user_message", "sdk_hidden_context"]


async def test_a_failed_retry_leaves_all_of_an_answer_that_has_just_ended(
    with_model: Scripted, database: Database
) -> None:
    """Items that are stored between the request and its claim belong to the old answer, too."""
    visitor = await with_model(FailsBeforeItsFirstWord())
    turn = await visitor.say("hello")
    other = insert(RunRow).values(
        user_id=visitor.user_id,
        id="another",
        thread_id=turn.thread_id,
        request="threads.retry_after_item",
        model="m",
        slot=1,
        start_seq=0,
        worker="w",
    )
    async with held(database, other) as connection:
        retry = asyncio.create_task(
            visitor.stream(
                "threads.retry_after_item",
                thread_id=turn.thread_id,
                item_id=turn.user_message_id,
            )
        )
        await asyncio.sleep(0.5)
        answer = turn.done("assistant_message")[0]
        late = insert(ItemRow).values(
            user_id=visitor.user_id,
            thread_id=turn.thread_id,
            id="late",
            type="assistant_message",
            payload=answer | {"id": "late", "thread_id": turn.thread_id},
        )
        await database.fetch(visitor.user_id, late)
        assert not retry.done()
        await connection.rollback()
    await retry

    assert [item["type"] for item in await visitor.items(turn.thread_id)] == [
        *("user_message", "workflow", "assistant_message", "assistant_message")
    ]


async def test_a_failure_that_nobody_is_there_to_hear_leaves_a_notice(
    with_model: Scripted, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs_module, "LEAVE_SECONDS", 60)
    model = Watched()
    model.pause_seconds = 0.15
    visitor = await with_model(model)
    body = {"type": "threads.create", "params": {"input": message("hello [demo:break]")}}
    async with AsyncExitStack() as stack:
        request = visitor.client.stream("POST", "/chatkit", json=body)
        stream = Stream(await stack.enter_async_context(request))
        await stream.words(1)

    assert await ended(database, visitor, stream.run_id) == "failed"
    [*_, notice] = await visitor.items(stream.thread_id)
    assert "interrupted" in notice["task"]["title"]
