"""Processes that are killed or told to stop in the middle of an answer."""

import asyncio
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, update

from engine.database.database import Database
from engine.database.rows import RunRow
from engine.runs.run_store import STALE_SECONDS
from engine.settings.settings import Settings
from engine.tests.chat.test_runs import ended, open_stream, status, stored_answer
from engine.tests.talk import PATIENCE_SECONDS, Visitor, until
from engine.tests.workers import Worker, working

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
    pytest.mark.long,
]


async def longer_than(chars: int, text: Callable[[], Awaitable[str]]) -> bool:
    return len(await text()) > chars


async def kinds(visitor: Visitor, thread_id: str) -> list[str]:
    return [item["type"] for item in await visitor.items(thread_id)]


async def let_time_pass(database: Database, visitor: Visitor, run_id: str) -> None:
    """Its worker has been silent for as long as the others believe that it lives."""
    silence = timedelta(seconds=STALE_SECONDS)
    await database.write(
        visitor.user_id,
        update(RunRow)
        .where(RunRow.user_id == visitor.user_id, RunRow.id == run_id)
        .values(heartbeat_at=func.now() - silence),
    )


async def retry(visitor: Visitor, thread_id: str) -> Any:
    first = (await visitor.items(thread_id))[0]
    return await visitor.send("threads.retry_after_item", thread_id=thread_id, item_id=first["id"])


async def test_what_a_killed_worker_had_said_is_kept_and_marked(
    settings: Settings, database: Database
) -> None:
    async with AsyncExitStack() as stack:
        worker, visitor = await stack.enter_async_context(
            working(settings, demo_delay_seconds=0.15)
        )
        stream = await open_stream(stack, visitor)
        await stream.words(12)  # long enough for a checkpoint
        stored = partial(stored_answer, visitor, stream.thread_id)
        await until(lambda: longer_than(20, stored))
        worker.kill()
        with pytest.raises(httpx2.TransportError):
            await stream.rest()
        await worker.wait()
        await let_time_pass(database, visitor, stream.run_id)
        worker.change(demo_delay_seconds=0)
        await worker.start()
        blocked = await visitor.send("threads.list")
        assert blocked.status_code == 200
        outcome = await ended(database, visitor, stream.run_id)

        assert outcome == "interrupted"
        items = await visitor.items(stream.thread_id)
        assert [i["type"] for i in items] == [
            *("user_message", "workflow", "assistant_message", "task")
        ]
        workflow, answer, notice = items[1:]
        assert workflow["workflow"]["summary"] is not None
        assert {t["status_indicator"] for t in workflow["workflow"]["tasks"]} == {"complete"}
        assert len(answer["content"][0]["text"]) > 20
        assert "interrupted" in notice["task"]["title"]

        # The user goes on: another message, or the same question again.
        assert (await retry(visitor, stream.thread_id)).status_code == 200
        assert await kinds(visitor, stream.thread_id) == [
            *("user_message", "workflow", "assistant_message")
        ]
        assert "does not think" in await stored_answer(visitor, stream.thread_id)


async def test_a_retry_that_died_before_its_first_word_leaves_the_old_answer(
    settings: Settings, database: Database
) -> None:
    async with AsyncExitStack() as stack:
        worker, visitor = await stack.enter_async_context(working(settings, demo_delay_seconds=0))
        turn = await visitor.say("hello")
        worker.kill()
        await worker.wait()
        slow, _ = await stack.enter_async_context(working(settings, demo_delay_seconds=5))
        visitor.client.base_url = httpx2.URL(slow.url)
        stream = await stack.enter_async_context(
            visitor.client.stream(
                "POST",
                "/chatkit",
                json={
                    "type": "threads.retry_after_item",
                    "params": {"thread_id": turn.thread_id, "item_id": turn.user_message_id},
                },
            )
        )
        await asyncio.sleep(2.5)
        run_id = stream.headers["x-run-id"]
        slow.kill()
        await slow.wait()
        await let_time_pass(database, visitor, run_id)
        await worker.start()
        visitor.client.base_url = httpx2.URL(worker.url)

        assert await ended(database, visitor, run_id) == "interrupted"
        assert await kinds(visitor, turn.thread_id) == [
            *("user_message", "workflow", "assistant_message")
        ]
        assert await stored_answer(visitor, turn.thread_id) == turn.answer


async def test_an_answer_that_ends_in_time_survives_the_signal_to_stop(
    settings: Settings, database: Database
) -> None:
    async with AsyncExitStack() as stack:
        worker, visitor = await stack.enter_async_context(
            working(settings, demo_delay_seconds=0.05, shutdown_seconds=20)
        )
        stream = await open_stream(stack, visitor)
        await stream.words(3)
        worker.terminate()
        rest = await stream.rest()

        assert rest[-1]["type"] == "thread.item.done"
        assert await status(database, visitor, stream.run_id) == "done"
        assert await worker.wait() in {0, -15}


async def test_an_answer_that_takes_too_long_is_cut_told_and_stored(
    settings: Settings, database: Database
) -> None:
    async with AsyncExitStack() as stack:
        worker, visitor = await stack.enter_async_context(
            working(settings, demo_delay_seconds=0.3, shutdown_seconds=1)
        )
        other, _ = await stack.enter_async_context(working(settings))
        stream = await open_stream(stack, visitor)
        await stream.words(3)
        left = await open_stream(stack, visitor)
        await left.words(1)
        await visitor.client.post(f"/chatkit/runs/{left.run_id}/leave")
        worker.terminate()
        rest = await stream.rest()
        assert await worker.wait() in {0, -15}

        assert (rest[-1]["type"], rest[-1]["allow_retry"]) == ("error", True)
        assert "restarting" in rest[-1]["message"]
        visitor.client.base_url = httpx2.URL(other.url)
        for run in (stream, left):
            assert await status(database, visitor, run.run_id) == "interrupted"
            assert (await kinds(visitor, run.thread_id))[-1] == "task"
            assert (await stored_answer(visitor, run.thread_id)).startswith(run.heard)


async def test_who_is_about_to_stop_takes_nothing_new(settings: Settings) -> None:
    async with AsyncExitStack() as stack:
        worker, visitor = await stack.enter_async_context(
            working(settings, demo_delay_seconds=0.2, shutdown_seconds=3)
        )
        stream = await open_stream(stack, visitor)
        await stream.words(1)
        worker.terminate()
        for path in ("/readyz", "/healthz"):
            await until(partial(takes_nothing, f"{worker.url}{path}"))
        await stream.rest()


async def takes_nothing(url: str) -> bool:
    async with httpx2.AsyncClient() as client:
        try:
            await client.get(url)
        except httpx2.TransportError:
            return True
    return False


async def test_workers_that_share_a_port_find_each_others_runs(
    settings: Settings, database: Database
) -> None:
    async with AsyncExitStack() as stack:
        worker, visitor = await stack.enter_async_context(
            working(settings, "--workers", "2", demo_delay_seconds=0.2)
        )
        for _ in range(6):
            stream = await open_stream(stack, visitor)
            await stream.words(2)
            # A connection of its own, so that either worker may get it.
            async with httpx2.AsyncClient(headers=visitor.client.headers) as other:
                path = f"{worker.url}/chatkit/runs/{stream.run_id}/stop"
                assert (await other.post(path)).status_code == 204
            await asyncio.wait_for(stream.rest(), PATIENCE_SECONDS)
            assert await status(database, visitor, stream.run_id) == "stopped"


@pytest.mark.parametrize("how", ["kill", "terminate"])
async def test_nothing_of_a_worker_outlives_it(settings: Settings, how: str) -> None:
    worker = Worker(settings, "--workers", "2")
    try:
        await worker.start()
        assert len(living(worker)) > 2
        getattr(worker, how)()
        await worker.wait()

        await until(partial(is_all_gone, worker))
    finally:
        worker.kill()


async def is_all_gone(worker: Worker) -> bool:
    return not living(worker)


def living(worker: Worker) -> list[int]:
    """Its processes, and the children of those."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,pgid=,stat="], check=True, capture_output=True, text=True
    )
    processes = [line.split() for line in listed.stdout.splitlines()]
    return [
        int(pid)
        for pid, group, state in processes
        if int(group) == worker.pid and not state.startswith("Z")
    ]
