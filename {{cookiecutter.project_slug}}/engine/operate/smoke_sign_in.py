"""The smoke test's visitors who sign in with a name and a password, through the real form."""

import asyncio
import os
import re
import secrets

import httpx2

from engine.auth.password.accounts import Hasher
from engine.auth.password.rows import AccountStore, user_id_of
from engine.auth.sessions.sessions import COOKIE
from engine.database.database import Database
from engine.operate.smoke import expect
from engine.settings.settings import Settings

NAME = "a visitor signs in through the form, and out"
USERS = "SMOKE_USERS"
HOW = f"{USERS}=NAME:PASSWORD,NAME:PASSWORD in the environment"
TIMEOUT_SECONDS = 60

_FORM_TOKEN = re.compile(r'name="form_token" type="hidden" value="([0-9a-f]+)"')


def check(_application: str, url: str, database_url: str) -> None:
    name, password = f"smoke-{secrets.token_hex(8)}", secrets.token_urlsafe()
    asyncio.run(_add(database_url, name, password))
    try:
        with httpx2.Client(base_url=url, timeout=TIMEOUT_SECONDS) as client:
            _visit(client, name, password)
    finally:
        asyncio.run(_delete(database_url, name))


def sign_in(url: str) -> list[dict[str, str]]:
    """The request headers of the users in `SMOKE_USERS`; none when it is not set."""
    return [_signed_in(url, user) for user in os.environ.get(USERS, "").split(",") if user]


def _signed_in(url: str, user: str) -> dict[str, str]:
    name, _, password = user.partition(":")
    with httpx2.Client(base_url=url, timeout=TIMEOUT_SECONDS) as client:
        fields = {"name": name, "password": password, "form_token": _form_token(client)}
        answer = client.post("/sign-in", data=fields)
        expect(answer.status_code == 303, f"{name} cannot sign in: {answer.status_code}")
        return _session_cookie(client)


def _visit(client: httpx2.Client, name: str, password: str) -> None:
    fields = {"name": name, "password": "not the password", "form_token": _form_token(client)}
    expect(client.post("/sign-in", data=fields).status_code == 401, "a wrong password is taken")
    fields["password"] = password
    expect(client.post("/sign-in", data=fields).status_code == 303, "the right one is not")
    account = client.get("/config.json").json()["account"]
    expect(account is not None and account["name"] == name, f"signed in as {account}")

    cookie = _session_cookie(client)
    expect(_may_chat(client, cookie), "who has signed in is refused")
    signed_out = client.post(account["signOut"], data={"form_token": account["formToken"]})
    expect(signed_out.status_code == 303, f"signing out answers {signed_out.status_code}")
    client.cookies.clear()
    expect(not _may_chat(client, cookie), "the cookie still counts after signing out")


def _session_cookie(client: httpx2.Client) -> dict[str, str]:
    """Over HTTPS its name has a prefix."""
    [name] = [name for name in client.cookies if name.endswith(COOKIE)]
    return {"Cookie": f"{name}={client.cookies[name]}"}


def _form_token(client: httpx2.Client) -> str:
    found = _FORM_TOKEN.search(client.get("/sign-in").text)
    expect(found is not None, "there is no form to sign in with")
    assert found is not None
    return found[1]


def _may_chat(client: httpx2.Client, headers: dict[str, str]) -> bool:
    request = {"type": "threads.list", "params": {}}
    return client.post("/chatkit", json=request, headers=headers).status_code == 200


async def _add(database_url: str, name: str, password: str) -> None:
    database = Database.from_settings(Settings(), database_url)
    await AccountStore(database).add(name, await Hasher().hash(password))
    await database.dispose()


async def _delete(database_url: str, name: str) -> None:
    database = Database.from_settings(Settings(), database_url)
    await AccountStore(database).delete(user_id_of(name))
    await database.dispose()
