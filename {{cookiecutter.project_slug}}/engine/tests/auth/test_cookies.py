"""Cookies, over HTTPS and on this machine."""

import pytest
from fastapi import FastAPI, Request, Response
from httpx2 import ASGITransport, AsyncClient

from engine.auth.cookies import (
    Cookie,
    drop_cookie,
    read_cookie,
    read_current_or_old_cookie,
    rename_cookie,
    set_cookie,
)

OUTSIDE_OF_FRAMES = "Path=/; SameSite=lax; Secure"
OLD = {"Cookie": "who=bob"}


def browser(base_url: str = "https://chat.test") -> AsyncClient:
    app = FastAPI()

    @app.get("/set")
    async def give(request: Request, response: Response) -> None:
        set_cookie(request, response, Cookie("who", "ada", 60))

    @app.get("/drop")
    async def take(request: Request, response: Response) -> None:
        drop_cookie(request, response, "who")

    @app.get("/rename")
    async def rename(request: Request, response: Response) -> None:
        rename_cookie(request, response, "who", 60)

    @app.get("/read")
    async def read(request: Request) -> list[str | None]:
        return [read_cookie(request, "who"), read_current_or_old_cookie(request, "who")]

    return AsyncClient(transport=ASGITransport(app), base_url=base_url)


async def cookies(
    path: str,
    base_url: str = "https://chat.test",
    headers: dict[str, str] | None = None,
) -> list[str]:
    async with browser(base_url) as client:
        return (await client.get(path, headers=headers)).headers.get_list("set-cookie")


async def test_over_https_it_has_a_prefix_and_is_not_for_other_sites() -> None:
    assert await cookies("/set") == [f"__Host-who=ada; HttpOnly; Max-Age=60; {OUTSIDE_OF_FRAMES}"]


async def test_on_this_machine_it_has_no_prefix_and_works_without_https() -> None:
    [cookie] = await cookies("/set", base_url="http://localhost:8000")
    assert cookie == "who=ada; HttpOnly; Max-Age=60; Path=/; SameSite=lax"


async def test_one_of_before_the_prefix_is_renamed_once() -> None:
    dropped, named = await cookies("/rename", headers=OLD)
    assert dropped == f'who=""; HttpOnly; Max-Age=0; {OUTSIDE_OF_FRAMES}'
    assert named == f"__Host-who=bob; HttpOnly; Max-Age=60; {OUTSIDE_OF_FRAMES}"
    both = {"Cookie": "who=mallory; __Host-who=ada"}
    assert await cookies("/rename", headers=both) == []
    assert await cookies("/rename", base_url="http://localhost:8000", headers=OLD) == []


async def test_signing_out_drops_both_names() -> None:
    assert [c.partition(";")[0] for c in await cookies("/drop", headers=OLD)] == [
        'who=""',
        '__Host-who=""',
    ]


@pytest.mark.parametrize(
    ("base_url", "sent", "read"),
    [
        ("https://chat.test", "__Host-who=ada", ["ada", "ada"]),
        ("https://chat.test", "who=mallory; __Host-who=ada", ["ada", "ada"]),
        # A long-lived cookie may be from an older release; a short-lived one is from another host.
        ("https://chat.test", "who=bob", [None, "bob"]),
        ("http://localhost", "who=bob", ["bob", "bob"]),
    ],
)
async def test_the_cookie_with_the_prefix_takes_precedence(
    base_url: str, sent: str, read: list[str | None]
) -> None:
    async with browser(base_url=base_url) as client:
        assert (await client.get("/read", headers={"Cookie": sent})).json() == read
