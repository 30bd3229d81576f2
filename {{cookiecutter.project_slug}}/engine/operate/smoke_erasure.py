"""A check of the smoke test: an erased user is gone, as seen from outside."""

import asyncio
from importlib import import_module
from uuid import uuid4

import httpx2

from engine.auth.credentials import sample_credentials
from engine.database.database import Database
from engine.operate.commands.privacy import attachments_of
from engine.operate.privacy.erase import erase, readmit
from engine.operate.smoke import CheckSkipped, expect
from engine.settings.settings import Settings

NAME = "an erased user is gone, and does not come back"
TIMEOUT_SECONDS = 60

Json = dict[str, object]


def check(application: str, url: str, database_url: str) -> None:
    asyncio.run(_check(application, url, database_url))


async def _check(application: str, url: str, database_url: str) -> None:
    """A new user chats, is erased as an operator does it, and asks again."""
    settings = Settings().model_copy(update={"database_url": database_url})
    user_id = f"smoke-{uuid4().hex}"
    sign_in = import_module(f"{application}.auth").sign_in
    try:
        [headers] = await sample_credentials(settings, [user_id], sign_in)
    except ValueError as error:
        raise CheckSkipped(str(error)) from error  # only another service can sign users in
    database = Database.from_settings(settings, database_url)
    try:
        async with httpx2.AsyncClient(
            base_url=url, headers=headers, timeout=TIMEOUT_SECONDS
        ) as client:
            said = await client.post("/chatkit", json=_message("Remember me."))
            expect(said.status_code == 200, f"a message is answered with {said.status_code}")
            listed = (await client.post("/chatkit", json=LIST)).json()["data"]
            expect(len(listed) == 1, f"{len(listed)} conversations instead of 1")
            async with attachments_of(application, database) as attachments:
                await erase(database, user_id, attachments)
            await _expect_gone(client)
            await readmit(database, user_id)  # which leaves no trace of this check
    finally:
        await database.dispose()


async def _expect_gone(client: httpx2.AsyncClient) -> None:
    listed = await client.post("/chatkit", json=LIST)
    # A session is erased too: who had one is not signed in any more.
    expect(
        listed.status_code in (401, 403) or listed.json()["data"] == [],
        f"the conversations of an erased user are listed: {listed.status_code}",
    )
    again = await client.post("/chatkit", json=_message("Do you remember me?"))
    expect(again.status_code in (401, 403), f"an erased user is answered: {again.status_code}")


LIST: Json = {"type": "threads.list", "params": {}}


def _message(text: str) -> Json:
    content = [{"type": "input_text", "text": text}]
    message = {"content": content, "attachments": [], "inference_options": {}}
    return {"type": "threads.create", "params": {"input": message}}
