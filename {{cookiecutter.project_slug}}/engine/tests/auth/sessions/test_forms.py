import pytest
from fastapi import FastAPI, Request, Response
from httpx2 import ASGITransport, AsyncClient

from engine.auth.sessions.forms import (
    FORM_COOKIE,
    MAX_FIELDS,
    MAX_FORM_BYTES,
    FormTokens,
    read_form,
    return_path,
)
from engine.http.addresses import Addresses
from engine.http.errors import install_error_handlers
from engine.settings.settings import Settings

SESSION = "session"
KEY = "the-key-of-this-year-is-long-enough"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def browsing(key: str = KEY, previous: str = "") -> AsyncClient:
    tokens = FormTokens(Settings(secret_key=key, secret_key_previous=previous), SESSION)
    app = FastAPI()
    install_error_handlers(app, Addresses(Settings()))

    @app.get("/form")
    async def show(request: Request, response: Response) -> str:
        secret = tokens.secret(request)
        tokens.remember(request, response, secret)
        return tokens.token(secret)

    @app.post("/form")
    async def take(request: Request) -> dict[str, str]:
        form = await read_form(request)
        tokens.check(request, form.get("form_token", ""))
        return form

    return AsyncClient(transport=ASGITransport(app), base_url="http://localhost:8000")


async def send(browser: AsyncClient, token: str) -> int:
    return (await browser.post("/form", data={"form_token": token})).status_code


async def test_a_form_is_accepted_from_its_browser() -> None:
    browser = browsing()
    token = (await browser.get("/form")).json()
    for _ in range(2):  # also after going back to the page
        assert await send(browser, token) == 200
    assert (await browser.get("/form")).json() == token


@pytest.mark.parametrize("token", ["", "x", "0" * 64, "ü", "\ud800"])
async def test_a_missing_or_invalid_token_is_refused(token: str) -> None:
    browser = browsing()
    await browser.get("/form")
    response = await browser.post("/form", content=f"form_token={token}".encode("utf-8", "replace"))
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "forged_form"


async def test_a_token_without_its_cookie_is_refused() -> None:
    browser = browsing()
    token = (await browser.get("/form")).json()
    browser.cookies.clear()
    assert await send(browser, token) == 403
    browser.cookies.set(FORM_COOKIE, "")
    assert await send(browser, token) == 403


async def test_another_browsers_token_is_refused() -> None:
    mallory, victim = browsing(), browsing()
    token = (await mallory.get("/form")).json()
    await victim.get("/form")
    assert await send(victim, token) == 403


async def test_a_token_is_bound_to_its_session() -> None:
    browser = browsing()
    before = (await browser.get("/form")).json()
    browser.cookies.set(SESSION, "ada")
    within = (await browser.get("/form")).json()
    assert await send(browser, before) == 403
    assert await send(browser, within) == 200
    browser.cookies.set(SESSION, "ada again")
    assert await send(browser, within) == 403


async def test_a_token_of_the_previous_key_is_accepted() -> None:
    old = browsing("the-key-of-last-year-is-long-enough")
    token = (await old.get("/form")).json()
    for browser, status in (
        (browsing(previous="the-key-of-last-year-is-long-enough"), 200),
        (browsing(), 403),
    ):
        browser.cookies = old.cookies
        assert await send(browser, token) == status


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"a=" + b"x" * MAX_FORM_BYTES, 413),
        (b"&".join(b"a=1" for _ in range(MAX_FIELDS + 1)), 422),
        (b"a=%ff", 422),
        (b"\xff", 422),
        (b'{"a": 1}', 403),
        (b"", 403),
    ],
)
async def test_invalid_forms_are_refused(body: bytes, status: int) -> None:
    browser = browsing()
    await browser.get("/form")
    assert (await browser.post("/form", content=body, headers=FORM)).status_code == status


@pytest.mark.parametrize("path", ["/", "/?a=1&b=/2#c", "/account", "/%5Cexample.com", "/a//b"])
def test_a_path_on_this_site_is_accepted(path: str) -> None:
    assert return_path(asked(), path) == path


@pytest.mark.parametrize(
    "elsewhere",
    [
        None,
        "",
        "account",
        "https://evil.example",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "\t//evil.example",
        "/\n/evil.example",
        " //evil.example",
        "/ok\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
        "/ünï",
        "//",
    ],
)
def test_other_sites_are_not_redirected_to(elsewhere: str | None) -> None:
    assert return_path(asked(), elsewhere) == "/"
    assert return_path(asked("/help/chat"), elsewhere) == "/help/chat/"


def asked(root_path: str = "") -> Request:
    return Request({"type": "http", "headers": [], "root_path": root_path})
