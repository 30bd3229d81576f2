"""Migrations of a database that is in use: locks, tries, transactions."""

import asyncio
import secrets
import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from sqlalchemy import insert, select

from engine.database import migrating, migrations
from engine.database.database import EVERYBODY, TABLE_PREFIX, VERSION_TABLE, Database
from engine.database.migrations import MigrationRefused
from engine.database.rows import UserRow
from engine.operate.commands.migrate import upgrade
from engine.settings.database_url import connect_options
from engine.settings.settings import PROJECT_ROOT
from engine.tests.fixtures import new_database
from engine.tests.talk import PATIENCE_SECONDS

MIGRATION = """
from alembic import op
from engine.rows import TABLE_PREFIX

revision, down_revision = {revision!r}, {continues!r}
branch_labels, depends_on = {label!r}, {needs!r}


def upgrade() -> None:
    {step}


def downgrade() -> None: ...
"""
ADD_COLUMN = 'op.execute(f"ALTER TABLE {TABLE_PREFIX}users ADD {NAME} text")'
HOLD = f"INSERT INTO {TABLE_PREFIX}users (id) VALUES ('long')"  # noqa: S608
CONCURRENTLY = """
    with op.get_context().autocommit_block():
        op.create_index(
            f"{TABLE_PREFIX}users_made", f"{TABLE_PREFIX}users", ["created_at"],
            postgresql_concurrently=True,
        )
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the application's own migrations, empty, in a copy of all others."""
    for place in ("migrations", "engine/migrations"):
        shutil.copytree(PROJECT_ROOT / place, tmp_path / place)
    for name in ("alembic.ini", "pyproject.toml"):
        shutil.copy(PROJECT_ROOT / name, tmp_path)
    monkeypatch.setattr(migrations, "PROJECT_ROOT", tmp_path)
    own = tmp_path / migrations.OWN_MIGRATIONS
    shutil.rmtree(own)
    own.mkdir()
    return own


@pytest.fixture
def url(postgres_url: str, own: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with new_database(postgres_url, f"migrating_{secrets.token_hex(4)}") as url:
        monkeypatch.setenv("DATABASE_URL", url)
        upgrade(url)
        migrations._history.cache_clear()
        yield url
    migrations._history.cache_clear()


def write_own(own: Path, revision: str, step: str, after: str | None = None) -> None:
    begins = after is None
    source = MIGRATION.format(
        revision=revision,
        continues=after,
        label="owner" if begins else None,
        needs="core_0001" if begins else None,
        step=step,
    )
    (own / f"{revision}.py").write_text(source)


def add_column(name: str) -> str:
    return ADD_COLUMN.replace("{NAME}", name)


def fetch(url: str, statement: str) -> list[Any]:
    async def run() -> list[Any]:
        connection = await asyncpg.connect(**connect_options(url))
        try:
            return [row[0] for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    with ThreadPoolExecutor(1) as pool:  # also while an event loop runs here
        return pool.submit(lambda: asyncio.run(run())).result()


def run_script(url: str, script: str) -> None:
    async def run() -> None:
        connection = await asyncpg.connect(**connect_options(url))
        await connection.execute(script)
        await connection.close()

    asyncio.run(run())


def columns(url: str) -> set[str]:
    table = f"'{TABLE_PREFIX}users'"
    return set(
        fetch(url, f"SELECT column_name FROM information_schema.columns WHERE table_name = {table}")  # noqa: S608
    )


class Busy:
    """A reader and writers of a table, in a thread; each statement is a transaction."""

    def __init__(self, url: str) -> None:
        self._url, self._end = url, threading.Event()
        self.written = 0
        self.read = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> "Busy":
        self._thread.start()
        self.wait_for_writes(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def wait_for_writes(self, count: int) -> None:
        """Return when so many more have been written and read."""
        goal, deadline = self.written + count, time.monotonic() + 60
        while self.written < goal:
            assert time.monotonic() < deadline, "writers are blocked"
            time.sleep(0.01)

    async def _run(self) -> None:
        database = Database(self._url)
        await asyncio.gather(self._write(database), self._write(database), self._look(database))
        await database.dispose()

    async def _write(self, database: Database) -> None:
        while not self._end.is_set():
            row = insert(UserRow).values(id=secrets.token_hex(8))
            await database.write(EVERYBODY, row)
            self.written += 1

    async def _look(self, database: Database) -> None:
        while not self._end.is_set():
            await database.read(EVERYBODY, select(UserRow.id).limit(10))
            self.read += 1


class LongTransaction:
    """Holds a lock, by default the one that every insert takes, until it is told to end.

    It ends by itself after `PATIENCE_SECONDS`, so that a migration that waits for it without a
    timeout fails its test instead of waiting for ever.
    """

    def __init__(self, url: str, statement: str = HOLD) -> None:
        self._statement = statement
        self._url, self._end, self._begun = url, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._hold()))

    def __enter__(self) -> "LongTransaction":
        self._thread.start()
        assert self._begun.wait(30)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        self._end.set()
        self._thread.join()

    async def _hold(self) -> None:
        connection = await asyncpg.connect(**connect_options(self._url))
        async with connection.transaction():
            await connection.execute(self._statement)
            self._begun.set()
            await asyncio.to_thread(self._end.wait, PATIENCE_SECONDS)
        await connection.close()


def test_readers_and_writers_go_on_while_a_migration_waits(
    url: str, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a long transaction, and everybody else waits for it no longer than its timeout."""
    write_own(own, "first", add_column("one"))
    tries: list[float] = []

    def between_tries(seconds: float) -> None:
        tries.append(seconds)
        busy.wait_for_writes(3)  # what waited behind the migration goes on
        if len(tries) == 3:
            long.end()

    monkeypatch.setattr(migrating, "sleep", between_tries)
    monkeypatch.setattr(migrating, "LOCK_TIMEOUT", "300ms")
    with Busy(url) as busy, LongTransaction(url) as long:
        upgrade(url)
        busy.wait_for_writes(3)
        assert busy.read > 0

    assert len(tries) >= 3
    assert "one" in columns(url)


def test_a_lock_that_is_never_free_is_an_error_with_its_mend(
    url: str, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The migrations before it stay applied, and the next attempt continues after them."""
    write_own(own, "first", 'op.execute(f"CREATE TABLE {TABLE_PREFIX}rolls (id int)")')
    write_own(own, "second", add_column("two"), after="first")
    monkeypatch.setattr(migrating, "sleep", lambda _seconds: None)
    monkeypatch.setattr(migrating, "LOCK_TIMEOUT", "50ms")
    monkeypatch.setattr(migrating, "PAUSES", (0.0, 0.0))
    with LongTransaction(url), pytest.raises(MigrationRefused) as refused:
        upgrade(url)

    assert "lock timeout" in str(refused.value)
    assert "first before it stay applied." in str(refused.value)
    assert "pg_stat_activity" in str(refused.value)
    assert "first" in fetch(url, f"SELECT version_num FROM {VERSION_TABLE}")  # noqa: S608
    upgrade(url)
    assert "two" in columns(url)


def test_an_index_is_created_concurrently(url: str, own: Path) -> None:
    write_own(own, "first", add_column("one"))
    write_own(own, "second", CONCURRENTLY.strip(), after="first")
    with Busy(url) as busy:
        upgrade(url)
        busy.wait_for_writes(1)

    index = f"'{TABLE_PREFIX}users_made'::regclass"
    assert fetch(url, f"SELECT indisvalid FROM pg_index WHERE indexrelid = {index}") == [True]  # noqa: S608


def test_one_process_migrates_at_a_time(
    url: str, own: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another one waits for it, outside of PostgreSQL."""
    write_own(own, "first", add_column("one"))
    open_transactions: list[int] = []

    def while_it_waits(_seconds: float) -> None:
        others = "state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()"
        count = f"SELECT count(*) FROM pg_stat_activity WHERE {others}"  # noqa: S608
        open_transactions.extend(fetch(url, f"{count} AND datname = current_database()"))
        assert "one" not in columns(url)
        other.end()

    monkeypatch.setattr(migrating, "sleep", while_it_waits)
    lock = f"SELECT pg_advisory_lock(hashtextextended('{VERSION_TABLE}', 0))"
    with LongTransaction(url, lock) as other:
        upgrade(url)

    # The one of the other process; a snapshot of a process that waits would be a second one.
    assert open_transactions == [1]
    assert "one" in columns(url)


def test_all_in_one_transaction_is_taken_back_together(url: str, own: Path) -> None:
    write_own(own, "first", add_column("one"))
    write_own(own, "second", 'op.execute("SELECT 1 / 0")', after="first")

    with pytest.raises(MigrationRefused, match="division by zero"):
        upgrade(url, in_one_transaction=True)
    assert "one" not in columns(url)

    with pytest.raises(MigrationRefused, match="first before it stay applied"):
        upgrade(url)
    assert "one" in columns(url)


STAND_IN = f"""
CREATE TABLE pg_dist_partition (logicalrelid regclass PRIMARY KEY);
INSERT INTO pg_dist_partition VALUES ('{TABLE_PREFIX}users');
CREATE TYPE distribution_type AS ENUM ('hash', 'append');
CREATE FUNCTION create_distributed_table(
    name regclass, distribution_column text, how distribution_type DEFAULT 'hash',
    colocate_with text DEFAULT 'default', shard_count int DEFAULT NULL
) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_constraint WHERE contype = 'f' AND conrelid = name) THEN
        RAISE 'a foreign key of a local table to a distributed one';
    END IF;
    INSERT INTO pg_dist_partition VALUES (name);
END $$;
"""  # noqa: S608
CREATE_TABLE = """
    import sqlalchemy as sa
    for name, key in (("rolls", "user_id"), ("sides", "id")):
        users = sa.ForeignKeyConstraint([key], [f"{TABLE_PREFIX}users.id"])
        columns = sa.Column(key, sa.Text(), primary_key=True), *([users] if key != "id" else [])
        op.create_table(f"{TABLE_PREFIX}{name}", *columns)
"""


def test_a_new_table_in_a_citus_cluster_is_distributed_before_its_foreign_keys(
    url: str, own: Path
) -> None:
    """A stand-in with the types of Citus's function; a real one is not shown to take it here."""
    run_script(url, STAND_IN)
    write_own(own, "first", CREATE_TABLE.strip())
    upgrade(url)

    rolls = f"{TABLE_PREFIX}rolls"
    distributed = fetch(url, "SELECT logicalrelid::text FROM pg_dist_partition")
    assert distributed == [f"{TABLE_PREFIX}users", rolls]
    keys = f"SELECT confrelid::regclass::text FROM pg_constraint WHERE contype = 'f' AND conrelid = '{rolls}'::regclass"  # noqa: S608
    assert fetch(url, keys) == [f"{TABLE_PREFIX}users"]
