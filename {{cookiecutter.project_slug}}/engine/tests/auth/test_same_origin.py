from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest
import pytest_asyncio
from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from httpx2 import ASGITransport, AsyncClient

from engine.settings.settings import Settings
from engine.tests import application
from engine.tests.application import create_app
from engine.tests.auth.header import HeaderAuth
from engine.tests.fixtures import serving, visiting
from engine.tests.talk import Visitor

HOST = "chat.example.com"
OURS = f"https://{HOST}"
FOREIGN = "https://evil.example"


class CookieLike(HeaderAuth):
    """A style whose credentials browsers send by themselves, like a cookie."""

    checks_origin = True


@pytest.fixture(autouse=True)
def _style(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "sign_in", CookieLike)


@pytest_asyncio.fixture
async def visitor(settings: Settings) -> AsyncIterator[Visitor]:
    async with serving(create_app(settings)) as url, visiting(url, settings) as visitor:
        yield visitor


async def ask(visitor: Visitor, **headers: str) -> httpx2.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await visitor.send("threads.list", headers={"Host": HOST, **named})


def assert_refused(response: httpx2.Response) -> None:
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "foreign_origin"


@pytest.mark.parametrize("origin", [OURS, f"http://{HOST}", f"{OURS}:443", OURS.upper()])
async def test_requests_of_the_own_page_are_allowed(visitor: Visitor, origin: str) -> None:
    assert (await ask(visitor, Origin=origin)).status_code == 200


@pytest.mark.parametrize(
    "origin",
    [
        FOREIGN,
        "https://example.com",
        "https://other.example.com",
        f"{OURS}.evil.example",
        f"https://evil.example/{HOST}",
        f"https://{HOST}@evil.example",
        f"{OURS}:8443",
        f"ftp://{HOST}",
        HOST,
        "null",
        "",
    ],
)
async def test_requests_of_another_site_are_refused(visitor: Visitor, origin: str) -> None:
    assert_refused(await ask(visitor, Origin=origin))
    # What a browser cannot be made to say together changes nothing. (Of this host at another port
    # it says so behind a proxy that leaves the port out of Host, see below.)
    if origin not in {"null", f"{OURS}:8443"}:
        assert_refused(await ask(visitor, Origin=origin, Sec_Fetch_Site="same-origin"))


@pytest.mark.parametrize("site", ["cross-site", "same-site", "made-up", ""])
async def test_another_site_with_origin_null_is_refused(visitor: Visitor, site: str) -> None:
    assert_refused(await ask(visitor, Sec_Fetch_Site=site))
    assert_refused(await ask(visitor, Sec_Fetch_Site=site, Origin="null"))


async def test_clients_that_are_no_browsers_are_allowed(visitor: Visitor) -> None:
    assert (await ask(visitor)).status_code == 200


@pytest.mark.parametrize("site", ["same-origin", "none"])
async def test_the_own_page_with_origin_null_is_allowed(visitor: Visitor, site: str) -> None:
    assert (await ask(visitor, Sec_Fetch_Site=site)).status_code == 200
    assert (await ask(visitor, Sec_Fetch_Site=site, Origin="null")).status_code == 200


async def test_behind_a_proxy_the_forwarded_host_is_the_own_origin(visitor: Visitor) -> None:
    inside = {"Host": "app.internal:8000", "Origin": OURS}
    assert_refused(await ask(visitor, **inside))
    assert (await ask(visitor, **inside, X_Forwarded_Host=HOST)).status_code == 200
    chain = f"{HOST}, edge.internal"
    assert (await ask(visitor, **inside, X_Forwarded_Host=chain)).status_code == 200
    assert_refused(await ask(visitor, X_Forwarded_Host="app.internal", Origin=FOREIGN))


@pytest.mark.parametrize(
    ("origin", "site", "is_ours"),
    [
        ("http://127.0.0.1:8088", None, True),
        ("http://127.0.0.1:8088", "same-origin", True),
        ("https://127.0.0.1:8443", "same-origin", True),
        ("http://127.0.0.1:8088", "same-site", False),
        ("http://127.0.0.1:8088", "cross-site", False),
        ("https://127.0.0.1:8443", None, False),
        ("https://127.0.0.1:8443", "same-site", False),
        ("http://127.0.0.2:8088", None, False),
        ("http://127.0.0.2:8088", "same-origin", False),
        ("http://x@127.0.0.1:8088", None, False),
        ("ftp://127.0.0.1:8088", None, False),
        ("http://:8088", None, False),
        ("http://127.0.0.1:80:88", None, False),
    ],
)
async def test_behind_a_proxy_that_drops_the_port(
    visitor: Visitor, origin: str, site: str | None, is_ours: bool
) -> None:
    """For instance nginx with `proxy_set_header Host $host`."""
    said = {"Sec_Fetch_Site": site} if site else {}
    response = await ask(visitor, Host="127.0.0.1", Origin=origin, **said)
    assert (response.status_code == 200) is is_ours
    # If Host has a port, it must match.
    assert_refused(await ask(visitor, Host="127.0.0.1:8000", Origin=origin, **said))


async def test_over_https_an_http_page_on_another_port_is_refused(
    settings: Settings,
) -> None:
    async with browser(create_app(settings), OURS) as client:
        assert_refused(await client.post("/chatkit", headers={"Origin": f"http://{HOST}:8080"}))


async def test_a_refused_request_changes_nothing(visitor: Visitor) -> None:
    turn = await visitor.say("hello")
    body = {"type": "threads.delete", "params": {"thread_id": turn.thread_id}}
    assert_refused(await visitor.client.post("/chatkit", json=body, headers={"Origin": FOREIGN}))
    assert (await visitor.send("threads.get_by_id", thread_id=turn.thread_id)).status_code == 200


async def test_beacons_are_checked_too(visitor: Visitor) -> None:
    leave = "/chatkit/runs/none/leave"
    assert_refused(await visitor.client.post(leave, headers={"Origin": FOREIGN}))
    ours = str(visitor.client.base_url).rstrip("/")
    assert (await visitor.client.post(leave, headers={"Origin": ours})).status_code != 403


async def test_safe_methods_are_not_checked(visitor: Visitor) -> None:
    """Browsers hide responses from pages of other sites by themselves."""
    for path in ("/", "/config.json", "/healthz"):
        response = await visitor.client.get(path, headers={"Origin": FOREIGN})
        assert response.status_code == 200


async def test_every_unsafe_route_has_the_check(settings: Settings) -> None:
    app = create_app(settings)
    changing = [
        (method, route.path)
        for route in routes(app.state.chat.app.router)
        for method in route.methods or ()
        if method not in {"GET", "HEAD"}
    ]
    assert ("POST", "/chatkit") in changing
    async with browser(app) as client:
        for method, path in changing:
            assert_refused(await client.request(method, path, headers={"Origin": FOREIGN}))


async def test_allowed_origins_are_allowed(settings: Settings) -> None:
    named = Settings(allowed_origins=f"{FOREIGN}:443, http://intranet:8080").allowed_origins
    app = create_app(settings.model_copy(update={"allowed_origins": named}))
    async with browser(app) as client:
        for origin in (FOREIGN, "http://intranet:8080"):
            response = await client.post("/chatkit", headers={"Origin": origin})
            assert response.status_code == 401  # without a user
        for origin in ("http://evil.example", "http://intranet", "null"):
            assert_refused(await client.post("/chatkit", headers={"Origin": origin}))


async def test_over_https_an_http_page_is_refused(settings: Settings) -> None:
    async with browser(create_app(settings), OURS) as client:
        assert_refused(await client.post("/chatkit", headers={"Origin": f"http://{HOST}"}))


def routes(router: APIRouter) -> Iterator[APIRoute]:
    """All routes, with those of included routers."""
    for route in router.routes:
        if isinstance(route, APIRoute):
            yield route
        elif isinstance(included := getattr(route, "original_router", None), APIRouter):
            yield from routes(included)


def browser(app: FastAPI, base_url: str = "http://localhost:8000") -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app), base_url=base_url)
