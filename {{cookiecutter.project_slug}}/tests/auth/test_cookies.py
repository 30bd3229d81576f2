"""Cookies, at home and in a frame on another site's page."""

import pytest
from fastapi import FastAPI, Request, Response
from httpx import ASGITransport, AsyncClient

from app.auth.cookies import drop_cookie, set_cookie
from app.config import Settings

SITE = "https://www.example.com"
PARTITIONED = "HttpOnly; Path=/; SameSite=none; Secure; Partitioned"


async def cookies(path: str, origins: str = SITE, base_url: str = "https://chat.test") -> list[str]:
    app = FastAPI()
    app.state.settings = Settings(allowed_origins=origins)

    @app.get("/set")
    async def give(request: Request, response: Response) -> None:
        set_cookie(request, response, "who", "ada", 60)

    @app.get("/drop")
    async def take(request: Request, response: Response) -> None:
        drop_cookie(request, response, "who")

    async with AsyncClient(transport=ASGITransport(app), base_url=base_url) as client:
        return (await client.get(path)).headers.get_list("set-cookie")


@pytest.mark.parametrize("base_url", ["https://chat.test", "http://localhost:8000"])
async def test_in_a_frame_it_is_partitioned_and_secure(base_url: str) -> None:
    assert await cookies("/set?embedded", base_url=base_url) == [
        f"who=ada; HttpOnly; Max-Age=60; {PARTITIONED.removeprefix('HttpOnly; ')}"
    ]


async def test_in_a_frame_the_partitioned_one_is_dropped() -> None:
    [cookie] = await cookies("/drop?embedded")
    assert cookie.startswith('who=""; HttpOnly; Max-Age=0; ')
    assert cookie.endswith("; Partitioned")


async def test_where_nobody_may_embed_the_chat_no_request_makes_it_so() -> None:
    [cookie] = await cookies("/set?embedded", origins="")
    assert cookie == "who=ada; HttpOnly; Max-Age=60; Path=/; SameSite=lax; Secure"


async def test_at_home_it_is_not_for_other_sites_and_replaces_that_of_a_frame() -> None:
    own, framed = await cookies("/set")
    assert own == "who=ada; HttpOnly; Max-Age=60; Path=/; SameSite=lax; Secure"
    assert framed == f'who=""; HttpOnly; Max-Age=0; {PARTITIONED.removeprefix("HttpOnly; ")}'
