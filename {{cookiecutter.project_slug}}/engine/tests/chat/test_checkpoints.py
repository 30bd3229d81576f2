"""Checkpoints of many runs at once, and what a crash loses of an answer."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any

import pytest
from chatkit.types import (
    AssistantMessageContent,
    AssistantMessageItem,
    Workflow,
    WorkflowItem,
)
from fastapi import FastAPI
from sqlalchemy import select, update

from engine.context.clock import now
from engine.context.run import Retry, Run
from engine.database.database import Database
from engine.database.rows import ItemRow, RunRow
from engine.runs import checkpoints
from engine.runs.checkpoint_statements import DRAFT, DRAFT_OF_RETRY, HEARTBEAT
from engine.runs.draft_pace import DRAFT_SECONDS, GROWTH, DraftPace, size_of
from engine.settings.settings import Settings
from engine.tests.chat.test_interrupted import Watched
from engine.tests.chat.test_runs import Stream, open_stream, stored_answer
from engine.tests.citus_rules import violations
from engine.tests.fixtures import CreateApp, OneModel, serving, visiting
from engine.tests.talk import Visitor, until


def draft(text: str) -> AssistantMessageItem:
    content = [AssistantMessageContent(text=text)]
    return AssistantMessageItem(id="draft", thread_id="t", created_at=now(), content=content)


def run_with(item: AssistantMessageItem) -> Run:
    run = Run("run", "user", "t", "threads.create")
    run.drafts[item.id] = item
    return run


def test_a_draft_is_written_when_it_has_grown_by_a_fifth() -> None:
    item, pace = draft("x" * 100), DraftPace()
    run = run_with(item)
    run.touch(item.id)
    assert pace.due(run, next_look=1)
    pace.wrote(item.id, size_of(item), at=0)
    for length, is_due in ((119, False), (120, True)):
        item.content[0].text = "x" * length
        assert bool(pace.due(run, next_look=1)) is is_due


def test_a_draft_is_written_before_five_seconds_have_gone() -> None:
    item, pace = draft("x" * 100), DraftPace()
    run = run_with(item)
    pace.wrote(item.id, size_of(item), at=10)
    item.content[0].text += "x"
    assert not pace.due(run, next_look=10 + 2 * DRAFT_SECONDS)  # nothing has changed
    run.touch(item.id)
    assert not pace.due(run, next_look=12)
    assert pace.due(run, next_look=10 + DRAFT_SECONDS)


def test_no_draft_of_a_retry_is_written_before_its_first_word() -> None:
    """The first one that is written replaces the old answer."""
    answer, pace = draft(""), DraftPace()
    run = run_with(answer)
    run.retry = Retry(after_seq=1, last_seq=2, asked_at=now())
    workflow = WorkflowItem(
        id="wf", thread_id="t", created_at=now(), workflow=Workflow(type="custom", tasks=[])
    )
    run.drafts[workflow.id] = workflow
    for item in (workflow, answer):
        run.touch(item.id)

    assert pace.due(run, next_look=1) == []
    answer.content[0].text = "Hello"
    assert pace.due(run, next_look=1) == [answer, workflow]


def test_a_crash_loses_a_sixth_of_the_text_or_five_seconds_of_it() -> None:
    """An answer of 100 kB, at different speeds, looked at as seldom as may be."""
    for bytes_a_second in (20, 1_000, 20_000):
        item, pace = draft(""), DraftPace()
        run = run_with(item)
        stored = written = 0
        round_seconds = checkpoints.LATEST * checkpoints.CHECKPOINT_SECONDS
        for look in range(int(100_000 / bytes_a_second / round_seconds)):
            moment = look * round_seconds
            text = "x" * int(bytes_a_second * moment)
            # Just before the next write, which is the worst moment to die.
            five_seconds_before = int(bytes_a_second * (moment - DRAFT_SECONDS))
            assert stored >= min(len(text) / GROWTH, five_seconds_before)
            item.content[0].text = text
            run.touch(item.id)
            for due in pace.due(run, moment + round_seconds):
                run.take_draft(due.id)
                stored = size_of(due)
                written += stored
                pace.wrote(due.id, stored, moment)
        if bytes_a_second >= 1_000:
            assert written <= 20 * 100_000


@asynccontextmanager
async def answering(
    create_app: CreateApp, settings: Settings, count: int
) -> AsyncIterator[tuple[FastAPI, list[tuple[Visitor, Stream]]]]:
    """So many users who are being answered in one process."""
    model = Watched()
    app = create_app(settings, OneModel(settings, model))
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(app))
        streams = []
        for _ in range(count):
            visitor = await stack.enter_async_context(visiting(url, settings))
            stream = await open_stream(stack, visitor)
            await stream.words(3)
            streams.append((visitor, stream))
        try:
            yield app, streams
        finally:
            model.hurry()
            for _, stream in streams:
                await stream.rest()


async def is_stored(visitor: Visitor, stream: Stream) -> bool:
    return (await stored_answer(visitor, stream.thread_id)).startswith(stream.heard)


def runs_of(app: FastAPI, streams: list[tuple[Visitor, Stream]]) -> list[Run]:
    return [app.state.chat.runs._live[v.user_id, s.run_id] for v, s in streams]


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of those that are sent."""
    sizes: list[int] = []
    fetch_each = Database.fetch_each

    async def counting(self: Database, owner: Any, statement: Any, each: Any, **more: Any) -> Any:
        sizes.append(len(each))
        return await fetch_each(self, owner, statement, each, **more)

    monkeypatch.setattr(Database, "fetch_each", counting)
    return sizes


@pytest.mark.usefixtures("no_checkpoints")
async def test_the_checkpoints_of_a_process_are_one_round_trip(
    create_app: CreateApp, settings: Settings, batches: list[int]
) -> None:
    async with answering(create_app, settings, 4) as (app, streams):
        await app.state.chat.runs._checkpoints.write(runs_of(app, streams))

        assert batches == [4]
        for visitor, stream in streams:
            # A draft gets each piece of text before the page does.
            assert (await stored_answer(visitor, stream.thread_id)).startswith(stream.heard)


async def test_a_run_that_crashes_keeps_the_version_of_its_agent(
    create_app: CreateApp, settings: Settings, database: Database
) -> None:
    """The first heartbeat writes it, and not only the end."""
    model = Watched()
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(
            serving(create_app(settings, OneModel(settings, model)))
        )
        visitor = await stack.enter_async_context(visiting(url, settings))
        stream = await open_stream(stack, visitor)
        await stream.words(1)

        async def hashes() -> tuple[str, ...] | None:
            wanted = select(RunRow.instructions_hash, RunRow.tools_hash).where(
                RunRow.user_id == visitor.user_id, RunRow.status == "running"
            )
            [row] = await database.read(visitor.user_id, wanted)
            return tuple(row) if row.instructions_hash else None

        written = await until(hashes)
        model.hurry()
        await stream.rest()

    assert written is not None
    assert all(written)


@pytest.mark.usefixtures("no_checkpoints")
async def test_a_checkpoint_that_fails_does_not_lose_the_others(
    create_app: CreateApp, settings: Settings, batches: list[int]
) -> None:
    async with answering(create_app, settings, 3) as (app, streams):
        (gone, lost), *others = streams
        await gone.send("threads.delete", thread_id=lost.thread_id)
        runs = runs_of(app, streams)

        await app.state.chat.runs._checkpoints.write(runs)

        assert batches == [3]
        for visitor, stream in others:
            assert (await stored_answer(visitor, stream.thread_id)).startswith(stream.heard)
        assert [run.status for run in runs] == ["stopped", "running", "running"]


@pytest.mark.usefixtures("no_checkpoints")
async def test_a_checkpoint_that_has_to_wait_does_not_hold_the_others_up(
    create_app: CreateApp,
    settings: Settings,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(checkpoints, "BATCH_SECONDS", 0.3)
    async with answering(create_app, settings, 3) as (app, streams):
        runs = runs_of(app, streams)
        blocked = runs[0]
        lock = update(RunRow).where(RunRow.user_id == blocked.user_id, RunRow.id == blocked.id)
        async with database.transaction(blocked.user_id) as connection:
            await connection.execute(lock.values(slot=RunRow.slot))
            writing = app.state.chat.runs._checkpoints._write_due(runs)
            task = asyncio.create_task(writing)
            for visitor, stream in streams[1:]:
                await until(partial(is_stored, visitor, stream))
            assert blocked.writing.locked()
            assert not task.done()
        await task


@pytest.mark.usefixtures("no_checkpoints")
async def test_a_run_of_a_batch_that_was_closed_elsewhere_is_cut(
    create_app: CreateApp, settings: Settings, database: Database
) -> None:
    async with answering(create_app, settings, 3) as (app, streams):
        runs = runs_of(app, streams)
        closed = runs[0]
        statement = update(RunRow).where(RunRow.user_id == closed.user_id, RunRow.id == closed.id)
        await database.fetch(closed.user_id, statement.values(status="interrupted"))
        command = update(RunRow).where(RunRow.user_id == runs[1].user_id, RunRow.id == runs[1].id)
        await database.fetch(runs[1].user_id, command.values(command="stop"))

        await app.state.chat.runs._checkpoints.write(runs)

        assert [run.status for run in runs] == ["interrupted", "stopped", "running"]
        written = select(ItemRow.id).where(
            ItemRow.user_id == closed.user_id, ItemRow.type == "assistant_message"
        )
        assert await database.fetch(closed.user_id, written) == []


@pytest.mark.parametrize("statement", [HEARTBEAT, DRAFT, DRAFT_OF_RETRY])
def test_each_statement_keeps_citus_rules(statement: Any) -> None:
    assert not list(violations(statement))
