import hashlib
import re
from http.cookies import Morsel, SimpleCookie

import pytest
from fastapi import FastAPI, Request, Response
from httpx2 import ASGITransport, AsyncClient
from itsdangerous import TimestampSigner

from engine.auth.anonymous.sign_in import (
    COOKIE,
    MAX_AGE_SECONDS,
    AnonymousAuth,
    new_user_id,
)
from engine.auth.cookies import PREFIX
from engine.database.database import Database
from engine.http.addresses import Addresses
from engine.http.errors import install_error_handlers
from engine.operate.privacy import erase as erasing
from engine.operate.privacy.retention import Retention
from engine.settings.settings import Settings
from engine.tests.talk import message

KEY = "the-key-of-this-year-is-long-enough"
OLD_KEY = "the-key-of-last-year-is-long-enough"


def anonymous_auth(key: str = KEY, previous: str = "") -> AnonymousAuth:
    settings = Settings(secret_key=key, secret_key_previous=previous)
    return AnonymousAuth(settings, Database("postgresql+asyncpg://nobody@127.0.0.1:9/none"))


def browser(auth: AnonymousAuth, base_url: str = "http://localhost:8000") -> AsyncClient:
    """A client with a cookie jar, and an application with this auth style."""
    app = FastAPI()
    install_error_handlers(app, Addresses(Settings()))

    @app.get("/visit")
    async def visit(request: Request, response: Response) -> None:
        auth.visit(request, response)

    @app.get("/me")
    async def me(request: Request) -> str:
        return (await auth.authenticate(request)).id

    return AsyncClient(transport=ASGITransport(app), base_url=base_url)


async def status_with(auth: AnonymousAuth, cookie: str) -> int:
    async with browser(auth) as client:
        response = await client.get("/me", headers={"Cookie": f"{COOKIE}={cookie}"})
        return response.status_code


def set_cookie(response_headers: str) -> Morsel[str]:
    [cookie] = SimpleCookie(response_headers).values()
    return cookie


def signer(key: str, salt: str = "anonymous-user") -> TimestampSigner:
    return TimestampSigner(key, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)


async def test_a_missing_cookie_is_refused() -> None:
    async with browser(anonymous_auth()) as client:
        response = await client.get("/me")
    assert response.status_code == 401
    assert response.json()["error"]["code"] == "unauthenticated"


async def test_a_visit_creates_a_user_and_later_visits_keep_it() -> None:
    async with browser(anonymous_auth()) as client:
        await client.get("/visit")
        first = (await client.get("/me")).json()
        await client.get("/visit")
        second = (await client.get("/me")).json()
    assert re.fullmatch("anon_[0-9a-f]{32}", first)
    assert second == first


async def test_each_browser_is_a_user_of_its_own() -> None:
    auth = anonymous_auth()
    users = set()
    for _ in range(3):
        async with browser(auth) as client:
            await client.get("/visit")
            users.add((await client.get("/me")).json())
    assert len(users) == 3


async def test_the_cookie_is_http_only_and_lax() -> None:
    async with browser(anonymous_auth()) as client:
        cookie = set_cookie((await client.get("/visit")).headers["set-cookie"])
    assert cookie["httponly"] is True
    assert cookie["samesite"] == "lax"
    assert cookie["path"] == "/"
    assert cookie["domain"] == ""
    assert int(cookie["max-age"]) == MAX_AGE_SECONDS


@pytest.mark.parametrize(
    ("base_url", "is_secure"),
    [
        ("http://localhost:8000", False),
        ("http://127.0.0.1:8000", False),
        ("http://[::1]:8000", False),
        ("https://localhost", True),
        ("https://chat.example.com", True),
        ("http://chat.example.com", True),
        ("http://localhost.example.com", True),
    ],
)
async def test_only_loopback_gets_a_cookie_that_is_not_secure(
    base_url: str, is_secure: bool
) -> None:
    async with browser(anonymous_auth(), base_url) as client:
        cookie = set_cookie((await client.get("/visit")).headers["set-cookie"])
    assert bool(cookie["secure"]) is is_secure
    assert cookie.key == (f"{PREFIX}{COOKIE}" if is_secure else COOKIE)
    assert (cookie["path"], cookie["domain"], cookie["httponly"]) == ("/", "", True)


async def test_a_cookie_without_prefix_is_renamed_and_keeps_its_user() -> None:
    auth = anonymous_auth()
    old = await auth.sample_credentials("anon_a")
    async with browser(auth, "https://chat.example.com") as client:
        assert (await client.get("/me", headers=old)).json() == "anon_a"
        visit = await client.get("/visit", headers=old)
        dropped, named = visit.headers.get_list("set-cookie")
        assert dropped.startswith(f'{COOKIE}=""; HttpOnly; Max-Age=0; ')
        assert named.startswith(f"{PREFIX}{COOKIE}=anon_a.")
        client.cookies.clear()
        client.cookies.set(f"{PREFIX}{COOKIE}", set_cookie(named).value)
        assert (await client.get("/me")).json() == "anon_a"
        # A cookie without the prefix, which another host of the domain could set, is ignored now.
        planted = await auth.sample_credentials("anon_mallory")
        both = {"Cookie": f"{planted['Cookie']}; {PREFIX}{old['Cookie']}"}
        client.cookies.clear()
        assert (await client.get("/me", headers=both)).json() == "anon_a"


async def test_x_forwarded_proto_of_an_untrusted_client_is_ignored() -> None:
    async with browser(anonymous_auth()) as client:
        response = await client.get("/visit", headers={"X-Forwarded-Proto": "https"})
    assert not set_cookie(response.headers["set-cookie"])["secure"]


@pytest.mark.parametrize(
    "cookie",
    [
        "",
        "garbage",
        "anon_00000000000000000000000000000000",
        "anon_00000000000000000000000000000000.aaaaaa.",
        "...",
        "\u00e9.\u00e9.\u00e9".encode().decode("latin-1"),
        "a" * 5000,
    ],
)
async def test_a_malformed_cookie_is_refused(cookie: str) -> None:
    async with browser(anonymous_auth()) as client:
        headers = {b"Cookie": f"{COOKIE}={cookie}".encode("latin-1")}
        assert (await client.get("/me", headers=headers)).status_code == 401


async def test_a_tampered_user_id_is_refused() -> None:
    auth = anonymous_auth()
    genuine = (await auth.sample_credentials("anon_mallory"))["Cookie"]
    async with browser(auth) as client:
        assert (await client.get("/me", headers={"Cookie": genuine})).json() == "anon_mallory"
        forged = genuine.replace("anon_mallory", "anon_victim0")
        assert (await client.get("/me", headers={"Cookie": forged})).status_code == 401


async def test_a_signature_with_another_key_or_salt_is_refused() -> None:
    auth = anonymous_auth()
    assert await status_with(auth, signer(KEY).sign("anon_a").decode()) == 200
    assert await status_with(auth, signer("another-key").sign("anon_a").decode()) == 401
    assert await status_with(auth, signer(KEY, salt="other").sign("anon_a").decode()) == 401


async def test_an_empty_previous_key_is_not_accepted() -> None:
    assert await status_with(anonymous_auth(), signer("").sign("anon_a").decode()) == 401


async def test_a_visit_replaces_an_invalid_cookie() -> None:
    async with browser(anonymous_auth()) as client:
        await client.get("/visit", headers={"Cookie": f"{COOKIE}=anon_victim.x.y"})
        user = (await client.get("/me")).json()
    assert user.startswith("anon_")
    assert user != "anon_victim"


async def test_the_previous_key_is_accepted_and_a_visit_signs_with_the_new_one() -> None:
    old_cookie = await anonymous_auth(OLD_KEY).sample_credentials("anon_a")
    rotated = anonymous_auth(KEY, previous=OLD_KEY)
    async with browser(rotated) as client:
        assert (await client.get("/me", headers=old_cookie)).json() == "anon_a"
        response = await client.get("/visit", headers=old_cookie)
        new_cookie = set_cookie(response.headers["set-cookie"]).value
    assert await status_with(anonymous_auth(KEY), new_cookie) == 200


async def test_cookies_of_a_removed_key_are_refused() -> None:
    old_cookie = await anonymous_auth(OLD_KEY).sample_credentials("anon_a")
    async with browser(anonymous_auth(KEY)) as client:
        assert (await client.get("/me", headers=old_cookie)).status_code == 401


async def test_a_cookie_expires_unless_a_visit_renews_it(monkeypatch: pytest.MonkeyPatch) -> None:
    auth = anonymous_auth()
    now = TimestampSigner("any").get_timestamp()

    def at(seconds: int) -> None:
        monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _self: now + seconds)

    at(0)
    cookie = await auth.sample_credentials("anon_a")
    async with browser(auth) as client:
        at(MAX_AGE_SECONDS - 1)
        assert (await client.get("/me", headers=cookie)).status_code == 200
        renewed = set_cookie((await client.get("/visit", headers=cookie)).headers["set-cookie"])
        at(MAX_AGE_SECONDS + 1)
        assert (await client.get("/me", headers=cookie)).status_code == 401
    assert await status_with(auth, renewed.value) == 200


@pytest.mark.parametrize("ahead_seconds", [1, 4, 3600, 30 * 24 * 3600])
async def test_a_signature_time_in_the_future_is_accepted(
    monkeypatch: pytest.MonkeyPatch, ahead_seconds: int
) -> None:
    auth = anonymous_auth()
    now = TimestampSigner("any").get_timestamp()
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _self: now + ahead_seconds)
    cookie = await auth.sample_credentials("anon_a")
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _self: now)
    async with browser(auth) as client:
        assert (await client.get("/me", headers=cookie)).json() == "anon_a"
        await client.get("/visit", headers=cookie)
        assert (await client.get("/me")).json() == "anon_a"


def test_without_a_key_the_start_fails_and_says_how_to_fix_it() -> None:
    with pytest.raises(ValueError, match=r"SECRET_KEY is empty.*python3 -m app setup"):
        anonymous_auth(key="")


async def test_the_browser_of_an_erased_visitor_is_a_new_visitor(
    base_url: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing, "SETTLE_SECONDS", 0)
    request = {"type": "threads.create", "params": {"input": message("hello")}}
    async with AsyncClient(base_url=base_url, timeout=30) as client:
        await client.get("/config.json")
        assert (await client.post("/chatkit", json=request)).status_code == 200
        [cookie] = client.cookies.values()
        await erasing.erase(database, cookie.partition(".")[0])

        refused = await client.post("/chatkit", json=request)

        assert refused.status_code == 403
        assert refused.json()["error"]["code"] == "user_erased"
        assert (await client.post("/chatkit", json=request)).status_code == 200
        [renewed] = client.cookies.values()
    assert renewed.partition(".")[0] != cookie.partition(".")[0]


async def test_visitors_may_be_kept_for_a_shorter_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANONYMOUS_RETENTION_DAYS", "7")
    auth = anonymous_auth()
    retention = Retention(90, auth.visitor_days, auth.visitors)
    assert retention.days_of(new_user_id()) == 7
    assert retention.days_of("somebody else") == 90
