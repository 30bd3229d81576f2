"""Changing, disabling or deleting an account ends its sessions, links and answers at once."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from importlib import import_module
from typing import Any

import httpx2
import pytest

from engine.auth.password.rows import AccountStore, user_id_of
from engine.auth.sessions.rows import Session
from engine.auth.sessions.sessions import COOKIE, Ticket
from engine.database.database import Database
from engine.settings.settings import Settings
from engine.tests import application
from engine.tests.application import create_app
from engine.tests.chat.test_interrupted import Watched
from engine.tests.chat.test_runs import open_stream
from engine.tests.fixtures import OneModel, serving
from engine.tests.talk import Visitor

PNG = (
    b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00\x1f"
    b"\x15\xc4\x89\x00\x00\x00\rIDATx\x9cc\xf8\xff\xff?\x00\x05\xfe\x02\xfe\xa75\x81\x84\x00\x00"
    b"\x00\x00IEND\xaeB`\x82"
)

Ending = Callable[[AccountStore, str], Awaitable[Any]]


async def change(accounts: AccountStore, user_id: str) -> bool:
    account = await accounts.find(user_id)
    assert account is not None
    return await accounts.change_password(account, "another hash", None)


ENDINGS: dict[str, Ending] = {
    "changed": change,
    "reset": lambda accounts, user_id: accounts.reset(user_id, "another hash"),
    "disabled": lambda accounts, user_id: accounts.disable(user_id),
    "deleted": lambda accounts, user_id: accounts.delete(user_id),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_sessions_links_and_answers_end_at_once(
    settings: Settings, database: Database, ending: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "ATTACHMENT_INLINE_BYTES", "0"
    )  # at a loopback URL, pictures are sent inline and not as links
    accounts, model = AccountStore(database), Watched()
    model.pause_seconds = 2
    name = f"ada-{secrets.token_hex(4)}"
    me = user_id_of(name)
    ticket = Ticket.new(me)
    await accounts.add(name, "a hash", Session(me, ticket.session_id, name))
    async with AsyncExitStack() as stack:
        # On another worker than the one with the answer.
        url, other = [
            await stack.enter_async_context(
                serving(create_app(settings, OneModel(settings, model)))
            )
            for _ in range(2)
        ]
        client = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=url, headers={"Cookie": f"{COOKIE}={ticket}"}, timeout=30)
        )
        link = await link_to_a_file(client)
        stream = await open_stream(stack, Visitor(client, me))
        await stream.words(1)

        await ENDINGS[ending](accounts, me)

        for worker in (url, other):
            async with httpx2.AsyncClient(base_url=worker, timeout=30) as anybody:
                chat = {"type": "threads.list", "params": {}}
                refused = await anybody.post("/chatkit", json=chat, headers=client.headers)
                assert refused.status_code == 401
                if link is not None:
                    assert (await anybody.get(link)).status_code == 404
        await asyncio.wait_for(model.stopped.wait(), 10)
        model.hurry()


async def link_to_a_file(client: httpx2.AsyncClient) -> str | None:
    """The path of an attached picture; None without attachments, or if another host serves it."""
    if application.kind_of_files() != "local":
        return None
    kind = import_module("engine.tests.attachments.local.kind")
    attached = await kind.upload(Visitor(client, "me"), PNG, "a.png", "image/png")
    assert attached.status_code == 200, attached.text
    path = httpx2.URL(attached.json()["preview_url"]).path
    assert (await client.get(path, headers={"Cookie": ""})).content == PNG
    return path
