"""Many open answers in one process, which share ten connections."""

import asyncio
import resource
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, aclosing, contextmanager
from statistics import median, quantiles
from typing import Any

import pytest
from sqlalchemy import Engine, event, func, select

from engine.database.database import EVERYBODY, Database
from engine.demo.model import DemoModel
from engine.runs import run_store as run_store_module
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.fixtures import OneModel, serving, visiting
from engine.tests.talk import Visitor, is_text, message

pytestmark = pytest.mark.long

USERS = 20
POOL_SIZE = 10
OPENING_SECONDS = 180
# Long enough for each open answer to give a sign of life.
OPEN_SECONDS = 5


class Unhurried(DemoModel):
    """Says its first words, and the others only when it may."""

    def __init__(self) -> None:
        super().__init__(0)
        self.may_end = asyncio.Semaphore(0)

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        events = super().stream_response(*args, **kwargs)
        async for event_ in events:
            yield event_
            if event_.type == "response.output_text.delta":
                break
        async with self.may_end:
            async for event_ in events:
                yield event_


class Stopwatch:
    """Seconds that each taker waited for a connection of the pool, and that statements took."""

    def __init__(self, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
        self.waits: list[float] = []
        self.statements: list[float] = []
        # There is an event for who has got a connection, and none for who begins to wait.
        monkeypatch.setattr(engine.pool, "connect", self._timed(engine.pool.connect))
        event.listen(engine, "before_cursor_execute", self._begin)
        event.listen(engine, "after_cursor_execute", self._end)

    def _timed(self, connect: Callable[[], Any]) -> Callable[[], Any]:
        def timed() -> Any:
            started = time.monotonic()
            try:
                return connect()
            finally:
                self.waits.append(time.monotonic() - started)

        return timed

    def _begin(self, _connection: Any, _cursor: Any, _statement: str, *rest: Any) -> None:
        rest[1].started = time.monotonic()

    def _end(self, _connection: Any, _cursor: Any, _statement: str, *rest: Any) -> None:
        self.statements.append(time.monotonic() - rest[1].started)


@contextmanager
def many_files(answers: int) -> Iterator[None]:
    """Each stream has two sockets in this process, the server's and the client's."""
    wanted = 2 * answers + 500
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        pytest.skip(f"this system allows {hard} open files, and this needs {wanted}")
    if soft != resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("count", [100, pytest.param(1_000, marks=pytest.mark.slow)])
async def test_open_answers_keep_nobody_waiting_for_a_connection(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    settings = settings.model_copy(update={"database_pool_size": POOL_SIZE})
    # On a machine that has other things to do, the other applications of this process would take
    # for dead what is only slow.
    monkeypatch.setattr(run_store_module, "STALE_SECONDS", 120)
    model = Unhurried()
    app = create_app(settings, OneModel(settings, model))
    async with AsyncExitStack() as stack:
        stack.enter_context(many_files(count))
        url = await stack.enter_async_context(serving(app))
        visitors = [await stack.enter_async_context(visiting(url, settings)) for _ in range(USERS)]
        await fill(app.state.chat.database)
        watch = Stopwatch(app.state.chat.database.engine.sync_engine, monkeypatch)
        doorway = asyncio.Semaphore(POOL_SIZE)
        all_are_open = asyncio.Barrier(count + 1)

        async with asyncio.TaskGroup() as group:
            answers = [
                group.create_task(hear_out(visitors[number % USERS], doorway, all_are_open))
                for number in range(count)
            ]
            await asyncio.wait_for(all_are_open.wait(), OPENING_SECONDS)
            await asyncio.sleep(OPEN_SECONDS)
            for visitor in visitors:
                listed = await visitor.send("threads.list", limit=100)
                assert len(listed.json()["data"]) == count // USERS
            waits, statements = watch.waits.copy(), watch.statements.copy()
            for _ in range(POOL_SIZE):
                model.may_end.release()

    assert all("to the end”" in answer.result() for answer in answers)
    # Each turn and each sign of life took a connection, mostly one that was free.
    assert len(waits) > 5 * count
    assert median(waits) < 0.001
    # On a slow machine the longest ones are those that met the process busy with other things.
    assert quantiles(waits, n=100)[-1] < max(statements)


async def fill(database: Database) -> None:
    """Let the pool open all its connections, which takes longer than a statement."""
    sleep = select(func.pg_sleep(0.1))
    await asyncio.gather(*(database.fetch(EVERYBODY, sleep) for _ in range(POOL_SIZE)))


async def hear_out(
    visitor: Visitor, doorway: asyncio.Semaphore, all_are_open: asyncio.Barrier
) -> str:
    """The text of an answer whose second half comes once all others have begun.

    Newcomers come as many at a time as there are connections: more would wait for one another
    at the door, whatever those who are inside do.
    """
    said = ""
    stream = visitor.listen("threads.create", input=message("From beginning to the end"))
    async with aclosing(stream):
        async with doorway:
            async for event_ in stream:
                if is_text(event_):
                    said += event_["update"]["delta"]
                    break
            assert said
        await all_are_open.wait()
        async for event_ in stream:
            if is_text(event_):
                said += event_["update"]["delta"]
    return said
