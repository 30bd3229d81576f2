"""Failover between a primary and its standby."""

import asyncio
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from agents import Model

from dev.postgres import Postgres
from engine.database.database import EVERYBODY, Database, reserved_for_reads
from engine.operate.commands.migrate import upgrade
from engine.settings.database_url import connect_options, parse_url
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.chat.test_interrupted import Watched
from engine.tests.fixtures import OneModel, serving, visiting
from engine.tests.talk import Visitor

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="copies a server's files as POSIX does"),
    pytest.mark.long,
]

POOL = 4


class Pair:
    """A primary, a standby, and one address that can be pointed at either."""

    def __init__(self, folder: Path) -> None:
        self.primary, self.standby = Postgres(folder / "a"), Postgres(folder / "b")
        self._address = Path(tempfile.mkdtemp(prefix="pair-")) / "server"
        upgrade(self.primary.start())
        self.primary.stop()
        copy(self.primary.data_dir, self.standby.data_dir)
        self.primary.start()
        self.follow(self.standby, self.primary)

    def follow(self, server: Postgres, leader: Postgres) -> None:
        """Start a stopped server as the standby of the other one."""
        conninfo = f"host={socket_of(leader)} port=5432 user=postgres application_name=standby"
        with (server.data_dir / "postgresql.auto.conf").open("a") as configuration:
            configuration.write(f"primary_conninfo = '{conninfo}'\n")
        signal = server.data_dir / "standby.signal"
        signal.touch()
        owner = server.data_dir.stat()
        os.chown(signal, owner.st_uid, owner.st_gid)
        server.start()

    async def swap(self) -> None:
        """Promote the standby, and make the old primary its standby."""
        await asyncio.to_thread(self.primary.stop)
        await execute(self.standby.url, "SELECT pg_promote()")
        self.primary, self.standby = self.standby, self.primary
        await asyncio.to_thread(self.follow, self.standby, self.primary)

    def point_at(self, server: Postgres) -> None:
        self._address.unlink(missing_ok=True)
        self._address.symlink_to(socket_of(server))

    @property
    def address(self) -> str:
        return f"postgresql://postgres@/postgres?host={self._address}"

    @property
    def both(self) -> str:
        hosts = ",".join(socket_of(server) for server in (self.primary, self.standby))
        return f"postgresql://postgres@/postgres?host={hosts}&target_session_attrs=read-write"

    def destroy(self) -> None:
        for server in (self.standby, self.primary):
            server.destroy()
        shutil.rmtree(self._address.parent)


def copy(source: Path, target: Path) -> None:
    """Copy a folder and keep the owner of its files, who may be another user."""
    shutil.copytree(source, target)
    owner = source.stat()
    for path in (target, *target.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)


def socket_of(server: Postgres) -> str:
    return parse_url(server.url).hosts[0]


async def execute(url: str, *statements: str) -> list[asyncpg.Record]:
    """Execute statements and return the rows of the last one."""
    connection = await asyncpg.connect(**connect_options(url))
    try:
        for statement in statements:
            rows: list[asyncpg.Record] = await connection.fetch(statement)
    finally:
        await connection.close()
    return rows


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("pair"))
    yield pair
    pair.destroy()


@asynccontextmanager
async def chatting(
    settings: Settings, url: str, model: Model | None = None, *, patience_seconds: float = 1
) -> AsyncIterator[tuple[Visitor, Database, Settings]]:
    changed = settings.model_copy(
        update={
            "database_url": url,
            "database_pool_size": POOL,
            "database_patience_seconds": patience_seconds,
        }
    )
    model = model or Watched()
    assert isinstance(model, Watched)
    model.hurry()
    app = create_app(changed, OneModel(changed, model))
    async with serving(app) as base, visiting(base, changed) as visitor:
        yield visitor, app.state.chat.database, changed


async def readiness(visitor: Visitor) -> tuple[int, str]:
    response = await visitor.client.get("/readyz")
    return response.status_code, response.json().get("error", {}).get("message", "")


async def test_connections_to_a_new_standby_are_replaced(settings: Settings, pair: Pair) -> None:
    """As after a failover behind one address, which leads to the old server for a while."""
    pair.point_at(pair.primary)
    async with chatting(settings, pair.address) as (visitor, database, _):
        thread_id = (await visitor.say("hello")).thread_id
        pair.point_at(pair.standby)
        await database.reconnect()
        # Reads work on the standby and fill the pool.
        listed = await asyncio.gather(*(visitor.send("threads.list") for _ in range(3 * POOL)))
        assert {response.status_code for response in listed} == {200}
        refused = await visitor.send("threads.update", thread_id=thread_id, title="Refused")
        assert refused.status_code == 503
        pair.point_at(pair.primary)

        for title in ("one", "two", "three"):
            renamed = await visitor.send("threads.update", thread_id=thread_id, title=title)
            assert renamed.status_code == 200, renamed.text
        assert await readiness(visitor) == (200, "")


async def test_not_ready_while_writes_are_refused_and_ready_again(
    settings: Settings, pair: Pair
) -> None:
    pair.point_at(pair.primary)
    async with chatting(settings, pair.address) as (visitor, database, _):
        assert await readiness(visitor) == (200, "")
        pair.point_at(pair.standby)
        await database.reconnect()
        status, message = await readiness(visitor)
        assert status == 503
        assert "target_session_attrs=read-write" in message
        # A server that is not ready gets no writes, so the probe has to reconnect.
        pair.point_at(pair.primary)
        assert await readiness(visitor) == (200, "")


async def test_of_two_hosts_the_writable_one_is_selected(settings: Settings, pair: Pair) -> None:
    async with chatting(settings, pair.both) as (visitor, _, _):
        thread_id = (await visitor.say("hello")).thread_id
        await pair.swap()
        turn = await visitor.say("hello again", thread_id)

        assert turn.answer
        assert await readiness(visitor) == (200, "")


async def test_reads_do_not_wait_behind_writes_without_a_synchronous_standby(
    settings: Settings, pair: Pair
) -> None:
    """Commits wait while the only synchronous standby is down."""
    pair.point_at(pair.primary)
    async with chatting(settings, pair.address, patience_seconds=60) as (visitor, _, _):
        threads = [(await visitor.say(f"hello {n}")).thread_id for n in range(2)]
        await asyncio.to_thread(pair.standby.stop)
        await execute(
            pair.primary.url,
            "ALTER SYSTEM SET synchronous_standby_names = 'standby'",
            "SELECT pg_reload_conf()",
        )
        await until_commits_wait(pair.primary.url)

        def rename(ids: list[str]) -> list[asyncio.Task[Any]]:
            sending = (visitor.send("threads.update", thread_id=i, title="Renamed") for i in ids)
            return [asyncio.create_task(one) for one in sending]

        renaming = rename(threads)
        try:
            async with asyncio.timeout(60):
                while await waiting_commits(pair.primary.url) < len(threads):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
                # Renaming one thread twice waits for the lock on its row. Not earlier: these could
                # take every connection for one of the threads.
                renaming += rename(threads * POOL)
                while not await waiting_for_locks(pair.primary.url):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            async with asyncio.timeout(10):
                assert (await visitor.send("threads.list")).status_code == 200
                for id_ in threads:
                    read = await visitor.send("threads.get_by_id", thread_id=id_)
                    assert read.status_code == 200
                assert await readiness(visitor) == (200, "")
            assert not any(task.done() for task in renaming)
        finally:
            await execute(
                pair.primary.url,
                "ALTER SYSTEM RESET synchronous_standby_names",
                "SELECT pg_reload_conf()",
            )
            await asyncio.to_thread(pair.standby.start)
        for response in await asyncio.gather(*renaming):
            assert response.status_code == 200, response.text


async def until_commits_wait(url: str) -> None:
    """Return when a commit waits, because the new setting takes effect with a delay.

    Polls, because PostgreSQL does not report when it has read its configuration.
    """
    async with asyncio.timeout(60):
        for number in count():
            commit = asyncio.create_task(execute(url, f"CREATE TABLE commit_{number} ()"))
            while not commit.done():
                if await waiting_commits(url):
                    commit.cancel()
                    await asyncio.wait({commit})
                    return
                await asyncio.sleep(0.01)


async def waiting_commits(url: str) -> int:
    return await _waiting(url, "wait_event = 'SyncRep'")


async def waiting_for_locks(url: str) -> int:
    return await _waiting(url, "wait_event_type = 'Lock'")


async def _waiting(url: str, condition: str) -> int:
    [row] = await execute(url, f"SELECT count(*) FROM pg_stat_activity WHERE {condition}")  # noqa: S608
    return int(row[0])


@pytest.mark.parametrize(("pool", "reads"), [(1, 0), (2, 1), (4, 1), (10, 2), (20, 4)])
def test_one_connection_in_five_is_reserved_for_reads(pool: int, reads: int) -> None:
    assert reserved_for_reads(pool) == reads


async def test_a_write_that_waits_too_long_for_a_connection_fails(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.database import database as db

    monkeypatch.setattr(db, "POOL_SECONDS", 0.2)
    database = Database(database_url, pool_size=2)
    async with database.transaction(EVERYBODY):
        with pytest.raises(db.DatabaseUnreachable):
            async with database.transaction(EVERYBODY):
                raise AssertionError("there is one place for writes")
        async with database.reading(EVERYBODY):
            pass
    await database.dispose()
