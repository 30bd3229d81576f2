"""The chat inside another application: included under a prefix, mounted, and behind a proxy."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI, Request
from httpx2 import ASGITransport, AsyncClient

from engine.chat import Chat
from engine.http.included import router_of
from engine.settings.settings import Settings
from engine.tests import application
from engine.tests.fixtures import serving, visiting

PREFIX = "/help/chat"


def included(chat: Chat, app: FastAPI) -> None:
    app.include_router(chat.router, prefix=PREFIX)


def mounted(chat: Chat, app: FastAPI) -> None:
    app.mount(PREFIX, chat.app)


Put = Callable[[Chat, FastAPI], None]


@asynccontextmanager
async def outer_application(settings: Settings, put: Put, **server: Any) -> AsyncIterator[str]:
    """An application with a page of its own and the chat. Yields its URL."""
    chat = application.chat_of(settings)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with chat.running():
            yield

    app = FastAPI(lifespan=lifespan)
    put(chat, app)

    @app.get("/hello")
    async def hello() -> str:
        return "theirs"

    async with serving(app, **server) as url:
        yield url


@pytest.fixture(params=[included, mounted])
def put(request: pytest.FixtureRequest) -> Put:
    chosen: Put = request.param
    return chosen


async def test_a_whole_conversation_under_a_prefix(settings: Settings, put: Put) -> None:
    async with (
        outer_application(settings, put) as url,
        visiting(f"{url}{PREFIX}", settings) as visitor,
        visiting(f"{url}{PREFIX}", settings) as stranger,
    ):
        turn = await visitor.say("Hello there")
        assert "Hello there" in turn.answer
        assert [item["type"] for item in await visitor.items(turn.thread_id)]
        run = await visitor.client.get(f"/chatkit/threads/{turn.thread_id}/run")
        assert run.json() == {"run": None}
        missing = await stranger.send("threads.get_by_id", thread_id=turn.thread_id)
        assert missing.status_code == 404
        assert missing.json()["error"]["code"] == "not_found"


async def test_every_url_in_the_page_leads_to_the_chat(settings: Settings, put: Put) -> None:
    async with (
        outer_application(settings, put) as url,
        AsyncClient(base_url=url, timeout=30) as client,
    ):
        page = await client.get(f"{PREFIX}/")
        assert page.status_code == 200
        assert page.headers["content-security-policy"]
        assert (await client.get(PREFIX, follow_redirects=True)).text == page.text
        for relative in ("static/js/main.js", "static/theme.css", "config.json", "healthz"):
            response = await client.get(str(page.url.join(relative)))
            assert response.status_code == 200, relative
        config = (await client.get(f"{PREFIX}/config.json")).json()
        assert page.url.join(config["api"]["url"]).path == f"{PREFIX}/chatkit"
        assert 'src="/' not in page.text
        assert 'href="/' not in page.text


async def test_files_that_the_page_names_are_kept_for_good(settings: Settings, put: Put) -> None:
    async with (
        outer_application(settings, put) as url,
        AsyncClient(base_url=f"{url}{PREFIX}/", timeout=30) as client,
    ):
        page = await client.get("")
        names = re.findall(r'(?:src|href)="(static/[^"]+)"', page.text)
        kept = {name: await client.get(name) for name in names}

    assert {response.status_code for response in kept.values()} == {200}
    modules = {"static/js/main.js"}  # there is no bundle
    assert modules < kept.keys()
    for name in kept.keys() - modules:
        assert "immutable" in kept[name].headers["cache-control"], name


async def test_other_routes_are_unchanged(settings: Settings, put: Put) -> None:
    async with (
        outer_application(settings, put) as url,
        AsyncClient(base_url=url, timeout=30) as client,
    ):
        theirs = await client.get("/hello")
        assert (theirs.status_code, theirs.json()) == (200, "theirs")
        assert "content-security-policy" not in theirs.headers
        nothing = await client.get("/static/js/main.js")
        assert (nothing.status_code, nothing.json()) == (404, {"detail": "Not Found"})


async def test_behind_a_proxy_that_strips_a_prefix(settings: Settings) -> None:
    """With uvicorn's `--root-path`: the path arrives without the proxy's prefix."""
    async with (
        outer_application(settings, included, root_path="/outside") as url,
        visiting(f"{url}{PREFIX}", settings) as visitor,
    ):
        assert (await visitor.client.get("/")).status_code == 200
        assert (await visitor.say("Hello there")).answer


async def test_an_included_application_has_only_its_own_routes() -> None:
    inner, outer = FastAPI(), FastAPI()

    @inner.get("/of/{name}")
    async def where(request: Request, name: str) -> list[str]:
        return [*request.path_params, request.url_for("where", name=name).path]

    router = router_of(inner, ["/of/{name}"])
    outer.add_api_route("/of/others/{name}", where)
    outer.include_router(router, prefix="/{shop}/chat")
    async with AsyncClient(transport=ASGITransport(outer), base_url="http://shop.test") as client:
        response = await client.get("/chairs/chat/of/ada")

    assert response.json() == ["name", "/chairs/chat/of/ada"]


async def test_a_chat_that_was_not_started_is_not_ready(settings: Settings) -> None:
    app = FastAPI()
    included(application.chat_of(settings), app)
    async with serving(app) as url, AsyncClient(base_url=url, timeout=30) as client:
        assert (await client.get(f"{PREFIX}/healthz")).status_code == 200
        refused = await client.get(f"{PREFIX}/readyz")
    assert refused.status_code == 503
    assert "async with chat.running():" in refused.json()["error"]["message"]
