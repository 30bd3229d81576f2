"""Orphaned files are deleted."""

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import pytest
from sqlalchemy import text

from engine.attachments import sweeper
from engine.attachments.files import INCOMING, key_of
from engine.attachments.rows import AttachmentRows
from engine.context.ids import new_id
from engine.database.database import Database
from engine.database.rows import AttachmentRow
from engine.tests.attachments.fixtures import Application, Attaching, attach, say_with, send
from engine.tests.talk import PATIENCE_SECONDS

HALF_A_SECOND = str(0.5 / 3600)


async def test_unsent_files_are_deleted(attaching: Attaching) -> None:
    application = await attaching(attachment_orphan_hours=HALF_A_SECOND)
    sent = await attach(application.visitor)
    await say_with(application.visitor, sent["id"])
    unsent = await attach(application.visitor)
    await until_old()

    assert await application.attachments.sweeper.sweep()

    assert await application.keys() == {key_of(application.visitor.user_id, sent["id"])}
    assert (await send(application.visitor, unsent["id"])).status_code == 404


async def test_it_runs_in_the_background(attaching: Attaching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeper, "SWEEP_SECONDS", 0.1)
    application = await attaching(attachment_orphan_hours=HALF_A_SECOND)
    await attach(application.visitor)

    await until_all_are_swept(application)


async def test_it_continues_after_a_failure(
    attaching: Attaching,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sweeper, "SWEEP_SECONDS", 0.1)
    application = await attaching(attachment_orphan_hours=HALF_A_SECOND)
    async with without_its_table(database):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "orphaned files were not deleted" not in capsys.readouterr().err:  # noqa: ASYNC110 (as below)
                await asyncio.sleep(0.05)
    await attach(application.visitor)

    await until_all_are_swept(application)


async def test_files_without_a_row_are_deleted(attaching: Attaching) -> None:
    application = await attaching(attachment_orphan_hours=HALF_A_SECOND)
    attachment = await attach(application.visitor)
    await say_with(application.visitor, attachment["id"])
    files, user_id = application.attachments.files, application.visitor.user_id
    for key in (
        key_of(user_id, new_id("attachment")),  # its thread was deleted while the store was unavailable
        key_of("nobody", new_id("attachment")),  # its owner was deleted
        f"{INCOMING}/half",  # an interrupted upload
    ):
        await files.put(key, io.BytesIO(b"stray"), "text/plain")
    await until_old()

    await application.attachments.sweeper.sweep()

    assert await application.keys() == {key_of(user_id, attachment["id"])}


async def test_a_file_that_was_sent_meanwhile_is_kept(
    attaching: Attaching, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = await attaching(attachment_orphan_hours=HALF_A_SECOND)
    attachment_id, user_id = (await attach(application.visitor))["id"], application.visitor.user_id
    await say_with(application.visitor, attachment_id)
    await until_old()

    async def as_it_was(_rows: AttachmentRows, _before: datetime) -> list[tuple[str, str]]:
        return [(user_id, attachment_id)]

    monkeypatch.setattr(AttachmentRows, "unsent", as_it_was)

    assert await application.attachments.sweeper.sweep() == 0

    assert await application.keys() == {key_of(user_id, attachment_id)}


async def test_new_files_are_kept(application: Application) -> None:
    await attach(application.visitor)
    stray = key_of("nobody", new_id("attachment"))
    await application.attachments.files.put(stray, io.BytesIO(b"stray"), "text/plain")

    assert await application.attachments.sweeper.sweep() == 0

    assert len(await application.keys()) == 2


async def test_one_process_at_a_time(application: Application, database: Database) -> None:
    async with AttachmentRows(database).sweeping() as is_ours:
        assert is_ours
        assert await application.attachments.sweeper.sweep() is None

    assert await application.attachments.sweeper.sweep() == 0


async def until_old() -> None:
    """Wait until all files are older than half a second; S3 stores only whole seconds."""
    await asyncio.sleep(1.1)


async def until_all_are_swept(application: Application) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await application.keys():  # noqa: ASYNC110 (an event would be of the test alone)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def without_its_table(database: Database) -> AsyncIterator[None]:
    table = AttachmentRow.__tablename__
    async with database.engine.begin() as connection:
        await connection.execute(text(f"ALTER TABLE {table} RENAME TO {table}_away"))
    try:
        yield
    finally:
        async with database.engine.begin() as connection:
            await connection.execute(text(f"ALTER TABLE {table}_away RENAME TO {table}"))
