"""Files of an erased user are deleted, and those that a sweep makes homeless."""

import zipfile
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from sqlalchemy import update

from engine.attachments.files import FilesLeft, key_of, owner_part
from engine.database.database import Database
from engine.database.rows import ItemRow, SweepRow, ThreadRow
from engine.http.errors import Unavailable
from engine.operate.privacy import erase as erasing
from engine.operate.privacy.export import export
from engine.operate.privacy.retention import Retention, Sweeper
from engine.tests.attachments.fixtures import Application, attach, say_with
from engine.tests.attachments.samples import TEXT


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "SETTLE_SECONDS", 0)


async def two_files(application: Application) -> None:
    """One that was sent, and one that was not."""
    await say_with(application.visitor, (await attach(application.visitor))["id"])
    await attach(application.visitor)


async def test_no_file_of_the_user_is_left(application: Application, database: Database) -> None:
    await two_files(application)
    theirs = await attach(application.stranger)
    await say_with(application.stranger, theirs["id"])
    user_id = application.visitor.user_id
    # One without a row, as an upload that was under way leaves it.
    files = application.attachments.files
    await files.put(key_of(user_id, "atc_late"), BytesIO(b"late"), "text/plain")
    assert any(owner_part(user_id) in key for key in await application.keys())

    erased = await erasing.erase(database, user_id, application.attachments)

    assert erased.files
    assert await application.keys() == {key_of(application.stranger.user_id, theirs["id"])}


async def test_files_that_are_left_are_reported_and_can_be_erased_later(
    application: Application, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    await two_files(application)
    user_id = application.visitor.user_id
    with monkeypatch.context() as broken:

        async def refuse(keys: list[str]) -> None:
            raise FilesLeft(dict.fromkeys(keys, "read-only"))

        broken.setattr(application.attachments.files, "delete", refuse)
        assert not (await erasing.erase(database, user_id, application.attachments)).files
    assert await application.keys()

    assert (await erasing.erase(database, user_id, application.attachments)).files
    assert await application.keys() == set()


async def test_files_are_in_the_archive(
    application: Application, database: Database, tmp_path: Path
) -> None:
    await two_files(application)
    archive = tmp_path / "archive.zip"

    await export(database, application.visitor.user_id, archive, application.attachments)

    with zipfile.ZipFile(archive) as file:
        files = [name for name in file.namelist() if name.startswith("files/")]
        assert all(name.endswith("-letter.txt") for name in files)
        # Of some stores, only what was sent can be read.
        assert files
        assert {file.read(name) for name in files} == {TEXT}


async def test_users_download_and_erase_their_files_themselves(application: Application) -> None:
    own = pytest.importorskip(
        "engine.tests.auth.sessions.test_own_data", reason="nobody has an account here"
    )
    await two_files(application)
    theirs = await attach(application.stranger)
    await say_with(application.stranger, theirs["id"])

    response = await own.submit(application.visitor, own.EXPORT)

    with zipfile.ZipFile(BytesIO(response.content)) as archive:
        files = [name for name in archive.namelist() if name.startswith("files/")]
        assert files
        assert {archive.read(name) for name in files} == {TEXT}
        assert not any(theirs["id"] in name for name in archive.namelist())

    if own.asks_password(await own.page(application.visitor)):
        pytest.skip("asks for the password, see test_password")
    response = await own.submit(application.visitor, own.ERASE, sure="on")

    assert response.status_code == 200
    user_id = application.stranger.user_id
    assert await application.keys() == {key_of(user_id, theirs["id"])}


async def test_files_out_of_reach_are_told_on_the_page(
    application: Application, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = pytest.importorskip(
        "engine.tests.auth.sessions.test_own_data", reason="nobody has an account here"
    )
    await two_files(application)

    async def fail(_key: str) -> bytes:
        raise Unavailable("The file store is not reachable right now.")

    monkeypatch.setattr(application.attachments.files, "read", fail)

    response = await own.submit(application.visitor, own.EXPORT)

    assert response.status_code == 503
    assert response.headers["content-type"].startswith("text/html")
    assert "The file store is not reachable right now." in response.text


async def test_a_conversation_that_is_too_old_takes_its_files_along(
    application: Application, database: Database
) -> None:
    await two_files(application)
    kept = await attach(application.stranger)
    await say_with(application.stranger, kept["id"])
    user_id, long_ago = application.visitor.user_id, datetime.now(UTC) - timedelta(days=2_000)
    for row, times in (
        (ThreadRow, {"created_at": long_ago, "updated_at": long_ago}),
        (ItemRow, {"created_at": long_ago}),
    ):
        await database.write(user_id, update(row).where(row.user_id == user_id).values(**times))
    await database.write(None, update(SweepRow).values(ended_at=long_ago, cursor=""))

    await Sweeper(database, Retention(1_000), application.attachments).sweep()

    keys = await application.keys()
    assert len([key for key in keys if owner_part(user_id) in key]) <= 1  # the one not sent
    assert key_of(application.stranger.user_id, kept["id"]) in keys
