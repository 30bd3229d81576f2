"""Backup and restore of attached files, with the commands of docs/operate.md."""

import asyncio
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from dev.paths import PROJECT_ROOT
from engine.settings.env_file import write_env_file
from engine.tests.attachments.fixtures import Attaching, attach, say_with
from engine.tests.attachments.samples import PNG
from engine.tests.attachments.test_links import fetch, preview
from engine.tests.operating import blocks, run, secret_key, used_and_empty
from engine.tests.talk import Visitor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs commands of a POSIX shell")


@pytest.fixture
def databases(postgres_url: str) -> Iterator[tuple[str, str]]:
    with used_and_empty(postgres_url) as urls:
        yield urls


async def test_a_picture_and_its_link_come_back(
    databases: tuple[str, str], attaching: Attaching, tmp_path: Path
) -> None:
    used, empty = databases
    back_up, restore = blocks("Back up and restore", "sh")
    places = {"BACKUP": str(tmp_path / "backup"), "ATTACHMENT_FOLDER": str(tmp_path / "files")}
    (tmp_path / "backup").mkdir()
    write_env_file(tmp_path / ".env", PROJECT_ROOT / ".env.example")

    before = await attaching(database_url=used, secret_key=secret_key(tmp_path))
    picture = await attach(before.visitor, PNG, "a.png", "image/png")
    thread_id = (await say_with(before.visitor, picture["id"])).thread_id
    link = await preview(before, thread_id)
    await asyncio.to_thread(run, back_up, tmp_path, used, **places)
    shutil.rmtree(tmp_path / "files")
    (tmp_path / ".env").unlink()
    assert (await fetch(link)).status_code == 404
    await asyncio.to_thread(run, restore, tmp_path, empty, **places)

    after = await attaching(database_url=empty, secret_key=secret_key(tmp_path))
    headers = before.visitor.client.headers
    async with httpx2.AsyncClient(base_url=after.url, headers=headers, timeout=30) as client:
        after.visitor = Visitor(client, before.visitor.user_id)
        assert (await fetch(await preview(after, thread_id))).content == PNG
        assert (await fetch(link.replace(before.url, after.url))).content == PNG
