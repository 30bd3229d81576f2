"""Outages of PostgreSQL during an answer: stopped, paused, disk full, or not started yet."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from agents import Model
from sqlalchemy import select

from dev.postgres import Postgres, PostgresError
from engine.auth.credentials import sample_credentials
from engine.database import database as db
from engine.database.database import Database, DatabaseUnreachable
from engine.database.rows import ItemRow
from engine.operate.commands.migrate import upgrade
from engine.runs import recovery, run_store
from engine.settings.settings import Settings
from engine.tests import application
from engine.tests.application import create_app
from engine.tests.chat.test_interrupted import Watched
from engine.tests.chat.test_runs import ended, open_stream, status, stored_answer
from engine.tests.fixtures import OneModel, serving, visiting
from engine.tests.talk import PATIENCE_SECONDS, Visitor, message, until

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="stops processes as POSIX does"),
    pytest.mark.long,
]

ORDER = ["user_message", "workflow", "assistant_message"]


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server for this module only, which is stopped and paused."""
    postgres = Postgres(tmp_path_factory.mktemp("maltreated") / "data")
    upgrade(postgres.start())
    yield postgres
    postgres.destroy()


@pytest.fixture
def own(settings: Settings, postgres: Postgres) -> Settings:
    return settings.model_copy(update={"database_url": postgres.start()})


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Abandoned runs are closed after seconds. The database has no runs of other tests."""
    for module in (recovery, run_store):
        monkeypatch.setattr(module, "STALE_SECONDS", 2)
    monkeypatch.setattr(recovery, "ROUND_SECONDS", 0.5)


@asynccontextmanager
async def chatting(settings: Settings, model: Model) -> AsyncIterator[tuple[Visitor, Database]]:
    app = create_app(settings, OneModel(settings, model))
    async with serving(app) as url, visiting(url, settings) as visitor:
        yield visitor, app.state.chat.database


async def test_an_answer_continues_after_a_restart(own: Settings, postgres: Postgres) -> None:
    model = Watched()
    async with AsyncExitStack() as stack:
        visitor, database = await stack.enter_async_context(chatting(own, model))
        stream = await open_stream(stack, visitor)
        await stream.words(3)
        await asyncio.to_thread(postgres.stop)
        rest = asyncio.create_task(stream.rest())
        await asyncio.sleep(2)
        model.hurry()
        await asyncio.sleep(1)
        await asyncio.to_thread(postgres.start)
        events = await rest

        assert events[-1]["type"] == "thread.item.done"
        assert await status(database, visitor, stream.run_id) == "done"
        assert [i["type"] for i in await visitor.items(stream.thread_id)] == ORDER
        answer = await stored_answer(visitor, stream.thread_id)
        assert answer == events[-1]["item"]["content"][0]["text"]
        # Commands are received again after the outage.
        second = await open_stream(stack, visitor)
        await second.words(1)
        assert (await visitor.client.post(f"/chatkit/runs/{second.run_id}/stop")).is_success


@pytest.mark.usefixtures("soon")
async def test_an_answer_fails_during_a_long_outage_and_the_thread_stays_usable(
    own: Settings, postgres: Postgres
) -> None:
    impatient = own.model_copy(update={"database_patience_seconds": 0.5})
    model = Watched()
    async with AsyncExitStack() as stack:
        visitor, database = await stack.enter_async_context(chatting(impatient, model))
        stream = await open_stream(stack, visitor)
        await stream.words(3)
        await asyncio.to_thread(postgres.stop)
        model.hurry()
        events = await asyncio.wait_for(stream.rest(), PATIENCE_SECONDS)
        refused = await visitor.send("threads.list")
        await asyncio.to_thread(postgres.start)

        assert (events[-1]["type"], events[-1]["allow_retry"]) == ("error", True)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert await ended(database, visitor, stream.run_id) == "interrupted"
        assert (await visitor.say("again", stream.thread_id)).answer


@pytest.mark.usefixtures("soon")
async def test_an_unsaved_answer_is_marked_as_interrupted(
    own: Settings, postgres: Postgres
) -> None:
    """The database is back in time for the end of the run, but not for the answer's item."""
    patience = own.model_copy(update={"database_patience_seconds": 3})
    app = create_app(patience, OneModel(patience, Watched()))
    database: Database = app.state.chat.database
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(app))
        visitor = await stack.enter_async_context(visiting(url, patience))
        stream = await open_stream(stack, visitor)
        await stream.words(12)
        await asyncio.to_thread(postgres.stop)
        # Not over HTTP, because authentication may need the database.
        assert app.state.chat.runs.apply(visitor.user_id, stream.run_id, "stop")
        await asyncio.sleep(4)
        await asyncio.to_thread(postgres.start)
        await asyncio.wait_for(stream.rest(), PATIENCE_SECONDS)

        assert await ended(database, visitor, stream.run_id) in {"interrupted", "stopped"}
        statement = select(ItemRow.type).where(
            ItemRow.user_id == visitor.user_id,
            ItemRow.thread_id == stream.thread_id,
            ItemRow.type == "sdk_hidden_context",
        )
        assert len(await database.fetch(visitor.user_id, statement)) == 1
        for item in await visitor.items(stream.thread_id):
            assert item["type"] != "workflow" or item["workflow"]["summary"] is not None


class PausingModel(Watched):
    """Sends five words and then pauses."""

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        words = 0
        async for event in super().stream_response(*args, **kwargs):
            yield event
            words += event.type == "response.output_text.delta"
            if words == 5:
                await asyncio.sleep(600)


async def test_drafts_are_stored_after_an_outage(own: Settings, postgres: Postgres) -> None:
    async with AsyncExitStack() as stack:
        visitor, _ = await stack.enter_async_context(chatting(own, PausingModel()))
        stream = await open_stream(stack, visitor)
        await stream.words(1)
        await asyncio.to_thread(postgres.stop)
        await stream.words(4)
        await asyncio.sleep(2)  # a checkpoint fails meanwhile
        await asyncio.to_thread(postgres.start)
        stored = await until(partial(stored_answer, visitor, stream.thread_id))
        await visitor.client.post(f"/chatkit/runs/{stream.run_id}/stop")
        await stream.rest()

        assert stored == stream.heard


async def test_the_application_can_start_before_its_database(
    own: Settings, postgres: Postgres
) -> None:
    model = Watched()
    [credentials] = await sample_credentials(own, ["early"], application.sign_in)
    await asyncio.to_thread(postgres.stop)
    async with (
        serving(create_app(own, OneModel(own, model))) as url,
        httpx2.AsyncClient(base_url=url, headers=credentials, timeout=30) as client,
    ):
        visitor = Visitor(client, "early")
        began = time.monotonic()
        for response in (
            await visitor.client.get("/readyz"),
            await visitor.send("threads.list"),
            await visitor.send("threads.create", input=message("hello")),
        ):
            assert response.status_code == 503
            assert response.json()["error"]["code"] == "database_unavailable"
            assert int(response.headers["retry-after"]) > 0
        assert time.monotonic() - began < own.database_patience_seconds
        await asyncio.to_thread(postgres.start)
        model.hurry()

        assert (await visitor.client.get("/readyz")).status_code == 200
        assert (await visitor.say("hello")).answer


@contextmanager
def paused(postgres: Postgres) -> Iterator[None]:
    processes = [*children_of(postgres), postmaster_of(postgres)]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(processes):
            os.kill(pid, signal.SIGCONT)


async def test_writes_wait_while_the_server_is_paused(own: Settings, postgres: Postgres) -> None:
    model = Watched()
    async with AsyncExitStack() as stack:
        visitor, database = await stack.enter_async_context(chatting(own, model))
        stream = await open_stream(stack, visitor)
        await stream.words(3)
        with paused(postgres):
            rest = asyncio.create_task(stream.rest())
            await asyncio.sleep(2)
            model.hurry()
            await asyncio.sleep(1)
        events = await rest

        assert events[-1]["type"] == "thread.item.done"
        assert await status(database, visitor, stream.run_id) == "done"
        assert [i["type"] for i in await visitor.items(stream.thread_id)] == ORDER


async def test_a_hanging_database_times_out(
    own: Settings, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(db, "STATEMENT_SECONDS", 1)
    monkeypatch.setattr(db, "CONNECT_SECONDS", 1)
    async with chatting(own, Watched()) as (visitor, _):
        assert (await visitor.send("threads.list")).status_code == 200
        with paused(postgres):
            refused = await visitor.send("threads.list")

        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert (await visitor.send("threads.list")).status_code == 200


@pytest.mark.usefixtures("soon", "no_checkpoints")
async def test_after_a_pause_runs_of_living_workers_are_not_closed(
    own: Settings, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "SLOW_SECONDS", 0.5)
    other = create_app(own)
    async with AsyncExitStack() as stack:
        visitor, database = await stack.enter_async_context(chatting(own, PausingModel()))
        stack.push_async_callback(other.state.chat.database.dispose)
        await other.state.chat.recovery.close_abandoned()  # until it is connected
        stream = await open_stream(stack, visitor)
        await stream.words(1)
        with paused(postgres):
            look = asyncio.create_task(other.state.chat.recovery.close_abandoned())
            await asyncio.sleep(run_store.STALE_SECONDS + 0.5)
        with pytest.raises(DatabaseUnreachable):
            await look

        assert await status(database, visitor, stream.run_id) == "running"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with space for little more than an empty database."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root may mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir(mode=0o755)
    mount = ["mount", "-t", "tmpfs", "-o", "size=150m,mode=755", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("this machine mounts nothing")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


async def test_a_full_disk_is_reported_and_recovered_from(
    settings: Settings, small_disk: Path
) -> None:
    postgres = Postgres(small_disk / "data")
    try:
        url = await asyncio.to_thread(postgres.start)
        await asyncio.to_thread(upgrade, url)
        changes = {"database_url": url, "database_patience_seconds": 1, "message_chars": 900_000}
        model = Watched()
        model.hurry()
        async with chatting(settings.model_copy(update=changes), model) as (visitor, _):
            ballast = small_disk / "ballast"
            fill(ballast)
            responses = []
            for _ in range(60):
                body = message(os.urandom(300_000).hex())
                responses.append(await visitor.send("threads.create", input=body))
                if responses[-1].status_code == 503 or '"type":"error"' in responses[-1].text:
                    break
            assert {r.status_code for r in responses} <= {200, 503}
            assert responses[-1].status_code == 503 or '"type":"error"' in responses[-1].text
            assert "No space" not in responses[-1].text
            ballast.unlink()
            await asyncio.to_thread(postgres.start)

            assert (await visitor.say("hello")).answer
    finally:
        await asyncio.to_thread(postgres.destroy)


def test_a_first_start_on_a_full_disk_prints_one_line(small_disk: Path) -> None:
    fill(small_disk / "ballast")
    with pytest.raises(PostgresError, match="The disk is full"):
        Postgres(small_disk / "data").start()


def test_a_read_only_data_folder_prints_one_line(small_disk: Path) -> None:
    postgres = Postgres(small_disk / "data")
    postgres.start()
    postgres.stop()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    for folder in ("data", "another"):
        with pytest.raises(PostgresError, match="move the project where you can write"):
            Postgres(small_disk / folder).start()


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as ballast:
        for size in (1_000_000, 10_000, 100):
            try:
                while True:
                    ballast.write(b"x" * size)
            except OSError:
                continue


def postmaster_of(postgres: Postgres) -> int:
    return int((postgres.data_dir / "postmaster.pid").read_text().split()[0])


def children_of(postgres: Postgres) -> list[int]:
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], check=True, capture_output=True, text=True
    )
    pairs = [line.split() for line in listed.stdout.splitlines()]
    return [int(pid) for pid, parent in pairs if int(parent) == postmaster_of(postgres)]
