"""`python3 -m app privacy`, on rows of several users."""

import asyncio
import json
import secrets
import zipfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from dev import __main__ as cli
from engine.database.database import EVERYBODY, Database
from engine.operate.commands.migrate import upgrade
from engine.operate.privacy import erase
from engine.tests.fixtures import new_database
from engine.tests.privacy.everything import every_owned_table, fill, rows_of, tables_with

T = TypeVar("T")


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, f"privacy_{secrets.token_hex(4)}") as url:
        upgrade(url)
        yield url


@pytest.fixture(autouse=True)
def _here(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(erase, "SETTLE_SECONDS", 0)


@pytest.fixture
def users(url: str) -> tuple[str, str]:
    """Two users with a row in each table."""
    names = (f"ada-{secrets.token_hex(4)}", f"grace-{secrets.token_hex(4)}")

    async def fill_both(database: Database) -> None:
        for name in names:
            await fill(database, name, f"word of {name}")

    on(url, fill_both)
    return names


def on(url: str, act: Callable[[Database], Coroutine[object, object, T]]) -> T:
    async def run() -> T:
        database = Database(url)
        try:
            return await act(database)
        finally:
            await database.dispose()

    return asyncio.run(run())


def test_an_archive_has_what_is_kept_of_the_user(
    users: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["privacy", "export", users[0], "--to", "a.zip", "--json"]) == 0

    result = json.loads(capsys.readouterr().out)
    with zipfile.ZipFile("a.zip") as archive:
        assert len(archive.namelist()) == result["files"] + 1
        content = "".join(archive.read(name).decode() for name in archive.namelist())
    assert f"word of {users[0]}" in content
    assert users[1] not in content


def test_an_archive_is_named_after_its_user(
    users: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["privacy", "export", users[0]]) == 0
    assert Path(f"{users[0]}.zip").is_file()
    assert capsys.readouterr().out.startswith(f"{users[0]}.zip: ")


def test_of_somebody_unknown_there_is_no_archive(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["privacy", "export", "nobody"]) == 1
    assert capsys.readouterr().out.startswith("Nothing is kept of nobody.")
    assert list(Path().iterdir()) == []


def test_an_erasure_leaves_no_row_of_the_user(
    url: str, users: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    before = on(url, lambda database: rows_of(database, users[1]))
    assert len(before) == len(every_owned_table())

    assert cli.main(["privacy", "erase", users[0], "--yes", "--json"]) == 0

    assert json.loads(capsys.readouterr().out)["rows"] >= len(every_owned_table()) - 1

    async def search(database: Database) -> list[str]:
        async with database.reading(EVERYBODY) as connection:
            return await tables_with(connection, users[0])

    assert on(url, search) == []
    assert on(url, lambda database: rows_of(database, users[1])) == before
    assert cli.main(["privacy", "export", users[0]]) == 1


def test_it_asks_first(
    url: str,
    users: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("builtins.input", lambda _question: "n")
    assert cli.main(["privacy", "erase", users[0]]) == 1
    assert capsys.readouterr().out == "Nothing was erased.\n"
    assert on(url, lambda database: rows_of(database, users[0]))

    monkeypatch.setattr("builtins.input", lambda _question: "y")
    assert cli.main(["privacy", "erase", users[0]]) == 0
    assert "is erased" in capsys.readouterr().out


def test_who_was_erased_can_be_let_in_again(
    users: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["privacy", "readmit", users[0]]) == 1
    assert cli.main(["privacy", "erase", users[0], "--yes"]) == 0
    capsys.readouterr()
    assert cli.main(["privacy", "readmit", users[0]]) == 0
    assert capsys.readouterr().out == f"{users[0]} can come back, as a new user.\n"
