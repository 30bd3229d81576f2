"""The archive of what is kept of a user."""

import json
import secrets
import zipfile
from pathlib import Path

import pytest

from engine.database.database import Database
from engine.operate.privacy.erase import existing_tables
from engine.operate.privacy.export import export, file_name, records
from engine.tests.privacy.everything import every_owned_table, fill
from engine.tests.talk import Visitor


def read(archive: Path) -> dict[str, str]:
    with zipfile.ZipFile(archive) as file:
        assert file.testzip() is None
        return {name: file.read(name).decode() for name in file.namelist()}


async def test_it_has_conversations_feedback_and_use_of_one_user(
    visitor: Visitor, stranger: Visitor, database: Database, tmp_path: Path
) -> None:
    turn = await visitor.say("Where is my order 4711?")
    [answer] = turn.done("assistant_message")
    await visitor.send(
        "items.feedback", thread_id=turn.thread_id, item_ids=[answer["id"]], kind="negative"
    )
    await stranger.say("a stranger's words")
    archive = tmp_path / "archive.zip"

    count = await export(database, visitor.user_id, archive)

    files = read(archive)
    assert count == len(files) - 1  # and the README
    conversation = json.loads(files[f"conversations/{turn.thread_id}.json"])
    said = [item for item in conversation["items"] if item["type"] == "user_message"]
    assert said[0]["content"][0]["text"] == "Where is my order 4711?"
    text = files[f"conversations/{turn.thread_id}.md"]
    assert text.startswith("# Where is my order 4711?\n")
    assert "**User** (" in text
    assert turn.answer in text
    [feedback] = json.loads(files["feedback.json"])
    assert (feedback["item_id"], feedback["kind"]) == (answer["id"], "negative")
    [use] = json.loads(files["use.json"])
    assert use["turns"] == 1
    assert use["tokens_in"] > 0
    assert "stranger" not in str(files)


async def test_of_somebody_unknown_there_is_nothing(database: Database, tmp_path: Path) -> None:
    assert await export(database, f"nobody-{secrets.token_hex(4)}", tmp_path / "a.zip") == 0


# Which instructions and tools answered, told by their hashes.
VERSIONS = ("instructions_hash", "tools_hash")


def test_secrets_are_not_in_it() -> None:
    left_out = {
        f"{table.name}.{column.name}"
        for table in every_owned_table()
        for column in table.columns
        if any(word in column.name for word in ("hash", "token", "code", "secret", "password"))
        and "tokens" not in column.name
        and column.name not in VERSIONS
        and column.name not in table.info["without"]
    }
    assert left_out == set()


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("../../etc/passwd", "etc_passwd"),
        ("Größe.txt", "Größe.txt"),
        ("a/b\\c:d", "a_b_c_d"),
        ("..", "file"),
        ("x" * 300, "x" * 100),
    ],
)
def test_a_file_name_stays_in_its_folder(name: str, made: str) -> None:
    assert file_name(name) == made


async def test_each_table_has_its_part_of_it(database: Database) -> None:
    user = f"export-{secrets.token_hex(8)}"
    await fill(database, user, "word")
    held = {
        table.info["holds"]
        for table in every_owned_table()
        if {column.name for column in table.columns} - {"user_id", *table.info["without"]}
    } - {"conversations"}

    async with database.reading(user) as connection:
        tables = await existing_tables(connection)

    found = await records(database, user, tables)
    assert set(found) == held
    for table in every_owned_table():
        for row in found.get(table.info["holds"], []):
            assert not {"user_id", *table.info["without"]} & set(row)
