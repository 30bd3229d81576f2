"""Cookies of a frame on another site's page, and the window that opened it."""

import httpx2
import pytest
from fastapi import FastAPI, Request, Response
from httpx2 import ASGITransport, AsyncClient

from engine.auth.cookies import Cookie, drop_cookie, set_cookie
from engine.http.security_headers import SecurityHeadersMiddleware, security_headers
from engine.launcher.headers import FRAME_PATH, FrameHeaders
from engine.settings.settings import Settings

SITE = "https://www.example.com"
AT_HOME = "Path=/; SameSite=lax; Secure"
IN_FRAME = "Path=/; SameSite=none; Secure; Partitioned"


def browser(origins: str = SITE, base_url: str = "https://chat.test") -> AsyncClient:
    """At `base_url` a chat, and the same once more in a path of somebody else's application."""
    settings = Settings(allowed_origins=origins)
    chat, other = FastAPI(), FastAPI()
    chat.add_middleware(
        FrameHeaders, origins=settings.allowed_origins, windows=("/sign-in", "/help")
    )
    headers = security_headers(settings)
    chat.add_middleware(SecurityHeadersMiddleware, headers=headers, settings=settings)

    @chat.get(FRAME_PATH)
    @chat.get("/set")
    async def give(request: Request, response: Response) -> None:
        set_cookie(request, response, Cookie("who", "ada", 60))
        set_cookie(request, response, Cookie("form", "secret"))

    @chat.get("/drop")
    async def take(request: Request, response: Response) -> None:
        drop_cookie(request, response, "who")

    @chat.get("/sign-in/frame")
    @chat.get("/file")
    async def window() -> None: ...

    other.mount("/help", chat)
    other.mount("/", chat)
    return AsyncClient(transport=ASGITransport(other), base_url=base_url)


async def cookies(path: str, **browsers: str) -> list[str]:
    async with browser(**browsers) as client:
        return (await client.get(path)).headers.get_list("set-cookie")


@pytest.mark.parametrize(
    ("base_url", "prefix"), [("https://chat.test", "__Host-"), ("http://localhost:8000", "")]
)
async def test_in_a_frame_they_are_partitioned_and_secure(base_url: str, prefix: str) -> None:
    assert await cookies("/set?embedded", base_url=base_url) == [
        f"{prefix}who=ada; HttpOnly; Max-Age=60; {IN_FRAME}",
        f"{prefix}form=secret; HttpOnly; {IN_FRAME}",
    ]


async def test_the_page_of_the_frame_gives_those_of_a_frame() -> None:
    assert await cookies(FRAME_PATH) == await cookies("/set?embedded")
    assert await cookies(f"/help{FRAME_PATH}") == await cookies("/set?embedded")


async def test_in_a_frame_the_partitioned_one_is_dropped() -> None:
    [cookie] = await cookies("/drop?embedded")
    assert cookie.startswith('__Host-who=""; ')
    assert "Max-Age=0; " in cookie
    assert cookie.endswith(IN_FRAME)


async def test_where_nobody_may_embed_the_chat_no_request_makes_it_so() -> None:
    assert await cookies("/set?embedded", origins="") == await cookies("/set", origins="")
    [cookie, _] = await cookies("/set?embedded", origins="")
    assert cookie == f"__Host-who=ada; HttpOnly; Max-Age=60; {AT_HOME}"


async def test_at_home_they_are_not_for_other_sites_and_replace_those_of_a_frame() -> None:
    own, framed, *_ = await cookies("/set")
    assert own == f"__Host-who=ada; HttpOnly; Max-Age=60; {AT_HOME}"
    assert framed == f'__Host-who=""; HttpOnly; Max-Age=0; {IN_FRAME}'


@pytest.mark.parametrize(
    ("path", "origins", "expected"),
    [
        ("/file", "", "same-origin-allow-popups"),
        ("/sign-in/frame", "", "same-origin-allow-popups"),
        ("/file", SITE, "same-origin-allow-popups"),
        ("/sign-in/frame", SITE, "unsafe-none"),
        ("/help/sign-in/frame", SITE, "unsafe-none"),
        ("/help/file", SITE, "same-origin-allow-popups"),
    ],
)
async def test_a_window_to_sign_in_stays_with_the_frame_that_opened_it(
    path: str, origins: str, expected: str
) -> None:
    async with browser(origins) as client:
        response: httpx2.Response = await client.get(path)

    assert response.headers["cross-origin-opener-policy"] == expected
