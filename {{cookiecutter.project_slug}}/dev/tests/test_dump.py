"""The data of one database goes along to another server."""

import asyncio
import os
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from dev import __main__ as cli
from dev.postgres_programs import find_programs
from engine.database.database import EVERYBODY, Database
from engine.database.rows import UserRow
from engine.operate import doctor
from engine.operate.commands.migrate import upgrade
from engine.settings.database_url import psql_arguments
from engine.tests.fixtures import new_database


@pytest.fixture
def urls(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, str]]:
    """A database with tables, and an empty one."""
    monkeypatch.setenv("PATH", f"{find_programs()}{os.pathsep}{os.environ['PATH']}")
    name = secrets.token_hex(4)
    with (
        new_database(postgres_url, f"from_{name}") as old,
        new_database(postgres_url, f"to_{name}") as new,
    ):
        monkeypatch.setenv("DATABASE_URL", old)
        upgrade(old)
        yield old, new


def test_a_dump_makes_the_same_database_elsewhere(urls: tuple[str, str], tmp_path: Path) -> None:
    old, new = urls
    asyncio.run(fetch(old, insert(UserRow).values(id="ada")))
    file = tmp_path / "chat.sql"

    assert cli.main(["db", "dump", str(file)]) == 0

    place, passwords = psql_arguments(new)
    command = ["psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", str(file), place]
    subprocess.run(command, env=os.environ | passwords, check=True, stdout=subprocess.DEVNULL)
    assert asyncio.run(fetch(new, select(UserRow.id))) == [("ada",)]
    assert doctor.migrations(new).state == "ok"


async def fetch(url: str, statement: object) -> list[tuple[object, ...]]:
    database = Database(url)
    try:
        return [tuple(row) for row in await database.fetch(EVERYBODY, statement)]  # type: ignore[arg-type]
    finally:
        await database.dispose()
