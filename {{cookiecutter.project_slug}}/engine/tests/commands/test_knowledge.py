"""`python3 -m app knowledge`, on a database of its own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev import __main__ as cli
from engine.operate.commands import knowledge
from engine.operate.commands.migrate import upgrade
from engine.tests.fixtures import new_database


@pytest.fixture(autouse=True)
def _database(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with new_database(postgres_url, "knowledge") as url:
        upgrade(url)
        monkeypatch.setenv("DATABASE_URL", url)
        yield


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "returns.md").write_text("# Returns\n\nSend them back.")
    (tmp_path / "more" / ".hidden").mkdir(parents=True)
    (tmp_path / "more" / "costs.txt").write_text("It costs nothing.")
    (tmp_path / "more" / ".hidden" / "secret.txt").write_text("Not this.")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    return tmp_path


def listed(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    """The number of passages, name and title of each document."""
    capsys.readouterr()
    assert cli.main(["knowledge", "list"]) == 0
    heading, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert heading == ["added", "passages", "document", "title"]
    return [row[1:] for row in rows]


def test_a_folder_is_added_listed_replaced_and_removed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["knowledge", "list"]) == 0
    assert capsys.readouterr().out.startswith("There are no documents. Add some:")
    for _ in range(2):
        assert cli.main(["knowledge", "add", str(folder)]) == 0
        assert capsys.readouterr().out == "2 documents added, in 2 passages.\n"
    (folder / "returns.md").write_text("# New\n\nKeep them.\n\n## Why\n\nNobody knows.")
    assert cli.main(["knowledge", "add", str(folder / "returns.md")]) == 0
    assert listed(capsys) == [
        ["1", f"{folder}/more/costs.txt", "costs"],
        ["2", f"{folder}/returns.md", "New"],
    ]

    assert cli.main(["knowledge", "remove", str(folder / "returns.md")]) == 0
    assert cli.main(["knowledge", "remove", str(folder / "returns.md")]) == 1
    assert listed(capsys) == [["1", f"{folder}/more/costs.txt", "costs"]]


def test_the_list_as_json(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def listed_as_json() -> list[dict[str, object]]:
        capsys.readouterr()
        assert cli.main(["knowledge", "list", "--json"]) == 0
        found: list[dict[str, object]] = json.loads(capsys.readouterr().out)
        return found

    assert listed_as_json() == []
    assert cli.main(["knowledge", "add", str(folder / "returns.md")]) == 0
    [document] = listed_as_json()
    assert document.pop("added")
    assert document == {"passages": 1, "document": f"{folder}/returns.md", "title": "Returns"}


def test_an_unreadable_file_does_not_stop_the_others(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "broken.pdf").write_bytes(b"no PDF")
    assert cli.main(["knowledge", "add", str(folder), str(folder / "picture.png")]) == 1

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"Not added: {folder}/broken.pdf: damaged (PdfStreamError)"
    assert lines[1].startswith(f"Not added: {folder}/picture.png: expected one of .docx")
    assert lines[2] == "2 documents added, in 2 passages."


def test_nothing_to_add(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "empty").mkdir()
    assert cli.main(["knowledge", "add", str(folder / "empty")]) == 1
    assert "No files to add were found." in capsys.readouterr().out


def test_a_progress_bar_is_drawn(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    knowledge.add([str(folder)])

    bars = capsys.readouterr().err.split("\r\033[K")[1:]
    assert bars == [
        f"[{'-' * 30}] 0 of 2  costs.txt",
        f"[{'#' * 15}{'-' * 15}] 1 of 2  returns.md",
        f"[{'#' * 30}] 2 of 2  \n",
    ]


def test_spellings_of_a_path_are_one_document(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "link.md").symlink_to(folder / "returns.md")
    monkeypatch.chdir(folder)
    spellings = ("returns.md", "./returns.md", "more/../returns.md", "link.md")
    assert cli.main(["knowledge", "add", *spellings]) == 0
    assert "1 documents added" in capsys.readouterr().out
    for spelling in spellings:
        assert cli.main(["knowledge", "add", spelling]) == 0
    assert len(listed(capsys)) == 1
    assert cli.main(["knowledge", "remove", "more/../link.md"]) == 0


def test_a_file_system_that_ignores_case(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulated, because the file system of the test may not ignore case."""
    monkeypatch.setattr(
        knowledge, "_is_same", lambda one, other: str(one).casefold() == str(other).casefold()
    )
    folded = folder.resolve() / "MORE" / "Costs.TXT"
    assert knowledge.real_path(folded) == folder.resolve() / "more" / "costs.txt"


def test_names_that_differ_are_two_files(folder: Path) -> None:
    (folder / "Returns.md").write_text("# Other\n\nText.")
    if len(list(folder.glob("?eturns.md"))) == 2:
        assert knowledge.real_path(folder / "Returns.md") != knowledge.real_path(
            folder / "returns.md"
        )
