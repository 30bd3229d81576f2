"""Sessions, in a minimal application."""

import base64
import secrets
from collections.abc import Iterator
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie

import pytest
from fastapi import FastAPI, Request, Response
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import delete, func, select, update
from sqlalchemy.sql.functions import now

from engine.auth.base import MAX_USER_ID_LENGTH
from engine.auth.cookies import PREFIX
from engine.auth.sessions.rows import (
    SEEN_EVERY,
    Session,
    SessionRow,
    end_sessions,
    lock_user,
)
from engine.auth.sessions.sessions import COOKIE, Sessions, SessionSettings, Ticket
from engine.database.database import ASYNC_COMMIT, EVERYBODY, TABLE_PREFIX, Database
from engine.database.rows import UserRow
from engine.http.addresses import Addresses
from engine.http.errors import install_error_handlers
from engine.settings.settings import Settings
from engine.tests.chat.test_statements import counted

DAYS, IDLE_DAYS = 30, 7


@pytest.fixture
def sessions(database: Database) -> Sessions:
    return Sessions(database, SessionSettings(days=DAYS, idle_days=IDLE_DAYS))


@pytest.fixture
def user_id() -> str:
    return f"test-{secrets.token_hex(8)}"


@pytest.fixture
def browser(sessions: Sessions) -> AsyncClient:
    return browsing(sessions)


@pytest.fixture
def other_browser(sessions: Sessions) -> AsyncClient:
    return browsing(sessions)


def browsing(sessions: Sessions, base_url: str = "http://localhost:8000") -> AsyncClient:
    """A client with a cookie jar, and an application that signs in any user it is given."""
    app = FastAPI()
    install_error_handlers(app, Addresses(Settings()))

    @app.post("/sign-in/{user_id}")
    async def sign_in(request: Request, response: Response, user_id: str) -> None:
        await sessions.start(request, response, user_id, name="Ada")

    @app.post("/sign-out")
    async def sign_out(request: Request, response: Response) -> None:
        await sessions.end(request, response)

    @app.get("/me")
    async def me(request: Request) -> list[str | None]:
        session = await sessions.authenticate(request)
        return [session.user_id, session.name]

    return AsyncClient(transport=ASGITransport(app), base_url=base_url)


async def status_with(client: AsyncClient, cookie: str) -> int:
    """The status of a request with this cookie only."""
    client.cookies.clear()
    return (await client.get("/me", headers={"Cookie": f"{COOKIE}={cookie}"})).status_code


def cookie_of(client: AsyncClient) -> str:
    return client.cookies[COOKIE]


async def ids(database: Database, user_id: str) -> list[str]:
    query = select(SessionRow.id).where(SessionRow.user_id == user_id)
    return [row.id for row in await database.fetch(user_id, query)]


async def grow_old(database: Database, user_id: str, **ages: timedelta) -> None:
    """Move these columns of the user's sessions into the past."""
    changes = {f"{column}_at": now() - age for column, age in ages.items()}
    statement = update(SessionRow).where(SessionRow.user_id == user_id).values(changes)
    await database.write(user_id, statement)


async def test_without_a_session_requests_are_refused(browser: AsyncClient) -> None:
    response = await browser.get("/me")
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "unauthenticated"


async def test_a_session_lasts_across_requests(browser: AsyncClient, user_id: str) -> None:
    await browser.post(f"/sign-in/{user_id}")
    for _ in range(2):
        assert (await browser.get("/me")).json() == [user_id, "Ada"]


async def test_user_ids_may_contain_any_characters(browser: AsyncClient) -> None:
    user_id = "ünï:céрт|" + "€" * (MAX_USER_ID_LENGTH - 9)
    await browser.post(f"/sign-in/{user_id}")
    assert (await browser.get("/me")).json() == [user_id, "Ada"]


async def test_the_cookie_is_http_only_and_lax(browser: AsyncClient, user_id: str) -> None:
    cookie = set_cookie((await browser.post(f"/sign-in/{user_id}")).headers["set-cookie"])
    assert COOKIE.startswith(TABLE_PREFIX)
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "lax"
    assert cookie["path"] == "/"
    assert cookie["domain"] == ""
    assert int(cookie["max-age"]) == DAYS * 24 * 3600


@pytest.mark.parametrize(
    ("base_url", "is_secure"),
    [
        ("http://localhost:8000", False),
        ("http://127.0.0.1:8000", False),
        ("https://chat.example.com", True),
        ("http://chat.example.com", True),
    ],
)
async def test_only_loopback_gets_a_cookie_that_is_not_secure(
    sessions: Sessions, user_id: str, base_url: str, is_secure: bool
) -> None:
    response = await browsing(sessions, base_url).post(f"/sign-in/{user_id}")
    cookie = set_cookie(response.headers["set-cookie"])
    assert bool(cookie["secure"]) is is_secure
    assert cookie.key == (f"{PREFIX}{COOKIE}" if is_secure else COOKIE)


def set_cookie(header: str) -> Morsel[str]:
    [cookie] = SimpleCookie(header).values()
    return cookie


async def test_the_database_has_only_a_hash_of_the_secret(
    browser: AsyncClient, database: Database, user_id: str
) -> None:
    await browser.post(f"/sign-in/{user_id}")
    cookie = cookie_of(browser)
    [stored] = await ids(database, user_id)
    assert stored not in cookie
    assert cookie.partition(".")[2] not in stored
    assert await status_with(browser, f"{cookie.partition('.')[0]}.{stored}") == 401


def tampered(cookie: str) -> Iterator[str]:
    user, _, secret = cookie.partition(".")
    yield f"{user}.{secret[:-1]}"
    yield f"{user}.{'B' if secret[0] == 'A' else 'A'}{secret[1:]}"
    yield f"{user}.{secrets.token_urlsafe(32)}"
    yield f"{user}."
    yield f".{secret}"
    yield user
    yield secret
    yield f"{cookie}.{secret}"
    yield f"{user}x.{secret}"
    yield "not-base64!.{secret}"
    for name in ("", "nul\0", "x" * 256, "\udcff"):
        raw = base64.urlsafe_b64encode(name.encode(errors="surrogateescape")).decode().rstrip("=")
        yield f"{raw}.{secret}"


async def test_a_tampered_cookie_is_refused(browser: AsyncClient, user_id: str) -> None:
    await browser.post(f"/sign-in/{user_id}")
    genuine = cookie_of(browser)
    for cookie in tampered(genuine):
        assert await status_with(browser, cookie) == 401, cookie
    assert await status_with(browser, genuine) == 200


async def test_a_secret_is_bound_to_its_user(
    browser: AsyncClient, other_browser: AsyncClient
) -> None:
    for client, name in ((browser, "ada"), (other_browser, "bert")):
        await client.post(f"/sign-in/{name}-{secrets.token_hex(4)}")
    ada, bert = cookie_of(browser).partition("."), cookie_of(other_browser).partition(".")
    assert await status_with(browser, f"{ada[0]}.{bert[2]}") == 401
    assert await status_with(browser, f"{bert[0]}.{ada[2]}") == 401


async def test_signing_in_again_replaces_the_session(
    browser: AsyncClient, database: Database, user_id: str
) -> None:
    await browser.post(f"/sign-in/{user_id}")
    old = cookie_of(browser)
    await browser.post(f"/sign-in/{user_id}")
    new = cookie_of(browser)
    assert new != old
    assert len(await ids(database, user_id)) == 1
    assert await status_with(browser, old) == 401
    assert await status_with(browser, new) == 200


async def test_signing_in_as_another_user_ends_the_first_session(
    browser: AsyncClient, database: Database, user_id: str
) -> None:
    await browser.post(f"/sign-in/{user_id}")
    await browser.post(f"/sign-in/{user_id}-other")
    assert await ids(database, user_id) == []
    assert (await browser.get("/me")).json() == [f"{user_id}-other", "Ada"]


async def test_session_fixation_is_prevented(browser: AsyncClient, user_id: str) -> None:
    planted = str(Ticket.new(user_id))
    browser.cookies.set(COOKIE, planted, domain="localhost.local", path="/")
    await browser.post(f"/sign-in/{user_id}")
    assert await status_with(browser, planted) == 401


async def test_two_browsers_of_one_user_do_not_sign_each_other_out(
    browser: AsyncClient, other_browser: AsyncClient, user_id: str
) -> None:
    await browser.post(f"/sign-in/{user_id}")
    await other_browser.post(f"/sign-in/{user_id}")
    await other_browser.post("/sign-out")
    assert (await browser.get("/me")).status_code == 200


async def test_after_sign_out_the_old_cookie_is_refused(
    browser: AsyncClient, database: Database, user_id: str
) -> None:
    await browser.post(f"/sign-in/{user_id}")
    old = cookie_of(browser)
    await browser.post("/sign-out")
    assert COOKIE not in browser.cookies
    assert await status_with(browser, old) == 401
    assert await ids(database, user_id) == []


@pytest.mark.parametrize("cookie", ["", "garbage"])
async def test_signing_out_without_a_session_is_no_error(browser: AsyncClient, cookie: str) -> None:
    response = await browser.post("/sign-out", headers={"Cookie": f"{COOKIE}={cookie}"})
    assert response.status_code == 200


async def test_a_session_ends_after_its_lifetime_although_it_is_used(
    browser: AsyncClient, database: Database, user_id: str
) -> None:
    await browser.post(f"/sign-in/{user_id}")
    hour = timedelta(hours=1)
    await grow_old(database, user_id, created=timedelta(days=DAYS) - hour, seen=hour)
    assert (await browser.get("/me")).status_code == 200
    await grow_old(database, user_id, created=timedelta(days=DAYS) + hour)
    assert (await browser.get("/me")).status_code == 401


async def test_an_idle_session_ends(browser: AsyncClient, database: Database, user_id: str) -> None:
    await browser.post(f"/sign-in/{user_id}")
    hour = timedelta(hours=1)
    await grow_old(database, user_id, seen=timedelta(days=IDLE_DAYS) - hour)
    assert (await browser.get("/me")).status_code == 200
    # The request counted as use, so the idle time starts again.
    assert await seen_ago(database, user_id) < hour
    await grow_old(database, user_id, seen=timedelta(days=IDLE_DAYS) + hour)
    assert (await browser.get("/me")).status_code == 401


async def test_seen_at_is_not_written_by_every_request(
    browser: AsyncClient, database: Database, user_id: str
) -> None:
    await browser.post(f"/sign-in/{user_id}")
    for ago, is_touched in ((SEEN_EVERY / 2, False), (SEEN_EVERY * 2, True)):
        await grow_old(database, user_id, seen=ago)
        await browser.get("/me")
        assert (await seen_ago(database, user_id) < ago) is is_touched


async def test_updating_seen_at_does_not_wait_for_the_commit(
    sessions: Sessions, database: Database, user_id: str
) -> None:
    """The commit may have to wait for an unreachable standby."""
    await sessions.store.begin(Session(user_id, "one", None))
    await grow_old(database, user_id, seen=SEEN_EVERY * 2)
    with counted(database) as sent:
        await sessions.store.find(user_id, "one")
    [writes] = [statement for statement in sent if "UPDATE" in statement]
    assert ASYNC_COMMIT.name in writes


async def seen_ago(database: Database, user_id: str) -> timedelta:
    query = select(func.clock_timestamp() - SessionRow.seen_at).where(SessionRow.user_id == user_id)
    [(ago,)] = await database.fetch(user_id, query)
    assert isinstance(ago, timedelta)
    return ago


async def test_expired_sessions_are_deleted_at_the_next_sign_in(
    browser: AsyncClient, other_browser: AsyncClient, database: Database, user_id: str
) -> None:
    await browser.post(f"/sign-in/{user_id}")
    await grow_old(database, user_id, created=timedelta(days=DAYS + 1))
    await other_browser.post(f"/sign-in/{user_id}")
    assert len(await ids(database, user_id)) == 1


async def test_all_sessions_of_a_user_can_be_ended(
    browser: AsyncClient, other_browser: AsyncClient, database: Database, user_id: str
) -> None:
    await browser.post(f"/sign-in/{user_id}")
    await other_browser.post(f"/sign-in/{user_id}-other")
    await database.write(user_id, lock_user(user_id), end_sessions(user_id))
    assert (await browser.get("/me")).status_code == 401
    assert (await other_browser.get("/me")).status_code == 200


async def test_a_deleted_user_is_signed_out(
    browser: AsyncClient, database: Database, user_id: str
) -> None:
    await browser.post(f"/sign-in/{user_id}")
    await database.write(EVERYBODY, delete(UserRow).where(UserRow.id == user_id))
    assert (await browser.get("/me")).status_code == 401
    await browser.post(f"/sign-in/{user_id}")
    assert (await browser.get("/me")).status_code == 200


async def test_sample_credentials_sign_in(
    browser: AsyncClient, sessions: Sessions, user_id: str
) -> None:
    credentials = await sessions.sample_credentials(user_id)
    assert (await browser.get("/me", headers=credentials)).json() == [user_id, None]
