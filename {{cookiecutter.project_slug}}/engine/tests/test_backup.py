"""Backup and restore of the database and the settings, with the commands of docs/operate.md."""

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from dev.paths import PROJECT_ROOT
from engine.auth.base import SignIn
from engine.operate.commands.migrate import upgrade
from engine.settings.env_file import write_env_file
from engine.settings.settings import Settings
from engine.tests.fixtures import CreateApp, serving_chat, visiting
from engine.tests.operating import blocks, run, secret_key, used_and_empty
from engine.tests.talk import Visitor

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="runs commands of a POSIX shell")


@pytest.fixture
def databases(postgres_url: str) -> Iterator[tuple[str, str]]:
    with used_and_empty(postgres_url) as urls:
        yield urls


async def test_a_conversation_goes_on_after_a_restore(
    databases: tuple[str, str],
    settings: Settings,
    create_app: CreateApp,
    sign_in: SignIn,
    tmp_path: Path,
) -> None:
    used, empty = databases
    back_up, restore = blocks("Back up and restore", "sh")
    project, backup = tmp_path / "project", tmp_path / "backup"
    (project / ".data" / "attachments").mkdir(parents=True)
    backup.mkdir()
    write_env_file(project / ".env", PROJECT_ROOT / ".env.example")

    before = settings.model_copy(update={"database_url": used, "secret_key": secret_key(project)})
    async with (
        serving_chat(create_app(before)) as url,
        visiting(url, before, sign_in=sign_in) as visitor,
    ):
        thread_id = (await visitor.say("hello")).thread_id
        items = await visitor.items(thread_id)
        await asyncio.to_thread(run, back_up, project, used, BACKUP=str(backup))
    (project / ".env").unlink()
    await asyncio.to_thread(run, restore, project, empty, BACKUP=str(backup))
    await asyncio.to_thread(upgrade, empty)

    after = settings.model_copy(update={"database_url": empty, "secret_key": secret_key(project)})
    async with (
        serving_chat(create_app(after)) as url,
        httpx2.AsyncClient(base_url=url, headers=visitor.client.headers, timeout=30) as client,
    ):
        again = Visitor(client, visitor.user_id)
        assert items
        assert await again.items(thread_id) == items
        assert (await again.say("and now?", thread_id)).answer
        assert (await client.get("/readyz")).status_code == 200
