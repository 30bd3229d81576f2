"""Behind a real PgBouncer in transaction mode: two transactions may meet two servers."""

import asyncio
import os
import pwd
import secrets
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url

from dev.postgres import is_alive
from dev.postgres_programs import Runner, some_account
from engine.database.database import EVERYBODY, Database
from engine.operate.commands.migrate import upgrade
from engine.runs import command_listener
from engine.runs import runs as runs_module
from engine.settings.settings import Settings
from engine.tests import application
from engine.tests.agent.echo import ECHO
from engine.tests.application import create_app
from engine.tests.chat.test_interrupted import Watched
from engine.tests.chat.test_runs import open_stream
from engine.tests.fixtures import OneModel, new_database, serving, visiting
from engine.tests.talk import PATIENCE_SECONDS, Visitor

SERVERS = 3
PORT = 6432
START_SECONDS = 60

# Debian keeps it out of an ordinary user's PATH.
PROGRAM = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")

pytestmark = pytest.mark.skipif(PROGRAM is None, reason="pgbouncer is not installed here")


@pytest.fixture(scope="module")
def pooled(postgres_url: str, settings: Settings) -> Iterator[Settings]:
    with new_database(postgres_url, f"pooled_{secrets.token_hex(4)}") as url:
        upgrade(url)
        with pgbouncer(make_url(url)) as pooled_url:
            yield settings.model_copy(
                update={
                    "database_url": pooled_url,
                    "database_direct_url": url,
                    "transaction_pooler": True,
                }
            )


@contextmanager
def pgbouncer(server: URL, servers: int = SERVERS) -> Iterator[str]:
    """Run one in front of that server; gives the URL of the same database through it."""
    assert PROGRAM is not None
    with tempfile.TemporaryDirectory(prefix="pgbouncer-") as name:
        folder, runner = Path(name), _runner(server)
        config = folder / "pgbouncer.ini"
        config.write_text(_config(server, folder, servers))
        runner.own(folder)
        with (folder / "log").open("wb") as log:
            pid = runner.detach([PROGRAM, str(config)], log.fileno())
        try:
            _wait_for(folder / f".s.PGSQL.{PORT}", pid, folder / "log")
            query = {"host": str(folder), "port": str(PORT)}
            url = URL.create("postgresql+asyncpg", "anybody", database=server.database, query=query)
            yield url.render_as_string(hide_password=False)
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)
            while is_alive(pid):
                time.sleep(0.02)


def _config(server: URL, folder: Path, servers: int) -> str:
    where: dict[str, object] = {
        "host": server.host or server.query["host"],
        "port": server.port or server.query.get("port", 5432),
        "user": server.username or "postgres",
        **({"password": server.password} if server.password else {}),
    }
    return f"""
[databases]
* = {" ".join(f"{name}='{value}'" for name, value in where.items())}
[pgbouncer]
pool_mode = transaction
default_pool_size = {servers}
max_client_conn = 200
auth_type = any
listen_addr =
listen_port = {PORT}
unix_socket_dir = {folder}
"""


def _runner(server: URL) -> Runner:
    """PgBouncer refuses to be root: then it is whoever owns the server's private socket.

    That may be root as well, in a user namespace where it bears another's name.
    """
    me = os.geteuid()
    if me != 0:
        return Runner(me)
    if "host" not in server.query:
        return Runner(pwd.getpwnam("nobody").pw_uid, switches_user=True)
    socket = Path(str(server.query["host"]), f".s.PGSQL.{server.query.get('port', 5432)}")
    if (owner := socket.stat().st_uid) != 0:
        return Runner(owner, switches_user=True)
    return Runner(0, prefix=("unshare", "--user", f"--map-user={some_account()}", "--"))


def _wait_for(socket: Path, pid: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not socket.exists():
        assert is_alive(pid), log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.02)


async def test_many_turns_share_a_few_servers(
    pooled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "TOOLS", (ECHO,))
    # Who listens would be counted when it asks whether its own connection still works.
    monkeypatch.setattr(command_listener, "PING_SECONDS", 3_600)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(serving(create_app(pooled)))
        visitors = [await stack.enter_async_context(visiting(url, pooled)) for _ in range(20)]

        async with asyncio.TaskGroup() as group:
            conversations = [group.create_task(converse(visitor)) for visitor in visitors]
            servers = group.create_task(busiest(pooled, conversations))

        for visitor, conversation in zip(visitors, conversations, strict=True):
            items = await visitor.items(conversation.result())
            said = [i["content"][0]["text"] for i in items if i["type"] == "user_message"]
            assert said == [f"{visitor.user_id} says one", "shout two", "three"]
            assert [i["type"] for i in items].count("assistant_message") == 3
    assert 1 < servers.result() <= SERVERS


async def converse(visitor: Visitor) -> str:
    """Three turns, the second with a tool and answered twice; everything a page asks for."""
    first = await visitor.say(f"{visitor.user_id} says one")
    second = await visitor.say("shout two", first.thread_id)
    await visitor.stream(
        "threads.retry_after_item", thread_id=first.thread_id, item_id=second.user_message_id
    )
    await visitor.say("three", first.thread_id)
    feedback = {"item_ids": [first.user_message_id], "kind": "positive"}
    for type_, params in (
        ("threads.list", {}),
        ("threads.update", {"thread_id": first.thread_id, "title": "Renamed"}),
        ("items.feedback", {"thread_id": first.thread_id, **feedback}),
    ):
        response = await visitor.send(type_, **params)
        assert response.status_code == 200, f"{type_}: {response.text}"
    return first.thread_id


async def busiest(pooled: Settings, conversations: Sequence[asyncio.Task[str]]) -> int:
    """The most servers that PgBouncer has at work until all of them have ended."""
    assert pooled.database_direct_url is not None
    database = Database(pooled.database_direct_url)
    statement = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND pid <> pg_backend_pid() AND query NOT LIKE 'LISTEN%' AND backend_type LIKE 'client%'"
    )
    most = 0
    while not all(conversation.done() for conversation in conversations):
        [[count]] = await database.fetch(EVERYBODY, statement)
        most = max(most, count)
        await asyncio.sleep(0.02)
    await database.dispose()
    return most


async def test_nothing_is_left_prepared_on_the_servers(pooled: Settings) -> None:
    """It would pile up there: no client ever comes back to take it away."""
    assert pooled.database_url is not None
    database = Database(pooled.database_url, transaction_pooler=True)
    left = text("SELECT (SELECT count(*) FROM pg_prepared_statements) FROM pg_sleep(0.01)")
    counts = await asyncio.gather(*(database.fetch(EVERYBODY, left) for _ in range(30)))
    await database.dispose()
    assert {count for [[count]] in counts} == {0}


async def test_stop_reaches_the_other_worker_over_the_direct_connection(
    pooled: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No checkpoint finds the command: only a LISTENing connection receives it.
    monkeypatch.setattr(runs_module, "CHECKPOINT_SECONDS", 60)
    model = Watched()
    async with AsyncExitStack() as stack:
        here_url = await stack.enter_async_context(
            serving(create_app(pooled, OneModel(pooled, model)))
        )
        here = await stack.enter_async_context(visiting(here_url, pooled))
        there_url = await stack.enter_async_context(serving(create_app(pooled)))
        there = await stack.enter_async_context(visiting(there_url, pooled, user_id=here.user_id))
        stream = await open_stream(stack, here)
        await stream.words(2)

        await there.client.post(f"/chatkit/runs/{stream.run_id}/stop")

        await asyncio.wait_for(model.stopped.wait(), PATIENCE_SECONDS)
