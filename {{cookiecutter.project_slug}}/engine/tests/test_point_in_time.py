"""A database goes back to a moment, with the settings and commands of docs/operate.md."""

import asyncio
import os
import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from dev.postgres import Postgres
from engine.settings.database_url import psql_arguments
from engine.tests.operating import blocks, run
from engine.tests.talk import until
from engine.tests.test_failover import execute

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="runs commands of a POSIX shell"),
    pytest.mark.long,
]

HEADING = "Point-in-time recovery"
EXAMPLE = "2026-01-31 09:15:00+00"


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[tuple[Postgres, Postgres]]:
    """A running one, and one that has yet to be made from its backup."""
    server, recovered = Postgres(tmp_path / "data"), Postgres(tmp_path / "recovered")
    server.start()
    yield server, recovered
    server.destroy()
    recovered.destroy()


def configure(data_dir: Path, text: str) -> None:
    with (data_dir / "postgresql.auto.conf").open("a", encoding="utf-8") as file:
        file.write(f"\n{text}")


def give(path: Path, owner: os.stat_result) -> None:
    """The server may run as another user than the tests."""
    for one in (path, *path.rglob("*")):
        os.chown(one, owner.st_uid, owner.st_gid)


def test_what_was_deleted_after_a_moment_is_back(
    servers: tuple[Postgres, Postgres], tmp_path: Path
) -> None:
    server, recovered = servers
    archiving, recovering = blocks(HEADING, "ini")
    [copy] = blocks(HEADING, "sh")
    owner = server.data_dir.stat()
    backup = tmp_path / "backup"
    (backup / "wal").mkdir(parents=True)
    give(backup, owner)
    server.stop()
    configure(server.data_dir, archiving.replace("/backup", str(backup)))
    url = server.start()

    run(copy, tmp_path, url, BACKUP=str(backup), SERVER=psql_arguments(url)[0])
    [moment] = asyncio.run(execute(url, "CREATE TABLE kept ()", "SELECT clock_timestamp()::text"))
    asyncio.run(execute(url, "DROP TABLE kept", "SELECT pg_switch_wal()"))
    server.stop()
    shutil.copytree(backup / "base", recovered.data_dir)
    (recovered.data_dir / "recovery.signal").touch()
    assert EXAMPLE in recovering
    asked = recovering.replace("/backup", str(backup)).replace(EXAMPLE, moment[0])
    configure(recovered.data_dir, asked)
    give(recovered.data_dir, owner)

    again = recovered.start()

    asyncio.run(until(partial(is_primary, again)))
    [found] = asyncio.run(execute(again, "SELECT to_regclass('kept')::text"))
    assert found[0] == "kept"


async def is_primary(url: str) -> bool:
    [row] = await execute(url, "SELECT NOT pg_is_in_recovery()")
    return bool(row[0])
