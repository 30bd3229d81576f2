"""The launcher on other sites' pages: which ones, and what they get to read."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.fixtures import serving
from engine.tests.talk import German

SITE = "https://www.example.com"
FOREIGN = "https://evil.example"


@pytest.fixture(scope="module")
async def url(settings: Settings) -> AsyncIterator[str]:
    app = create_app(settings.model_copy(update={"allowed_origins": (SITE,)}))
    async with serving(app) as url:
        yield url


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=url, timeout=30) as client:
        yield client


@pytest.fixture
async def closed(base_url: str) -> AsyncIterator[httpx2.AsyncClient]:
    """The application as it comes: nobody may embed it."""
    async with httpx2.AsyncClient(base_url=base_url, timeout=30) as client:
        yield client


def config_in(script: str) -> dict[str, Any]:
    found = re.search(r"\((\{.*\})\)\);$", script, re.MULTILINE)
    assert found, script[:500]
    config: dict[str, Any] = json.loads(found[1])
    return config


async def test_the_launcher_knows_what_it_has_to(
    client: httpx2.AsyncClient, german: German
) -> None:
    german({"Close": "Schließen", "Try again": "Noch einmal"})
    response = await client.get("/embed.js")

    assert response.headers["content-type"].startswith("text/javascript")
    config = config_in(response.text)
    assert config["origins"] == [SITE]
    assert config["colorScheme"] in {"auto", "light", "dark"}
    assert ":root" in config["styles"]
    assert ":host" in config["styles"]
    assert set(config["words"]) == {"en", "de"}
    assert config["words"]["de"] == config["words"]["en"] | {
        "close": "Schließen",
        "retry": "Noch einmal",
    }
    assert config["title"] == (await client.get("/config.json")).json()["title"]


async def test_its_script_names_a_file_that_is_kept_for_good(client: httpx2.AsyncClient) -> None:
    module = config_in((await client.get("/embed.js")).text)["module"]

    response = await client.get(f"/static/{module}", headers={"Origin": SITE})

    assert re.fullmatch(r"launcher/main\.[0-9a-f]{16}\.js", module)
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert response.headers["access-control-allow-origin"] == SITE


async def test_the_launcher_is_kept_for_a_visit_and_sent_once(client: httpx2.AsyncClient) -> None:
    first = await client.get("/embed.js")
    kept = "public, max-age=600, stale-while-revalidate=86400"
    assert first.headers["cache-control"] == kept
    assert first.headers["content-encoding"] == "gzip"
    assert int(first.headers["content-length"]) < 10_000

    again = await client.get("/embed.js", headers={"If-None-Match": first.headers["etag"]})

    assert again.status_code == 304
    assert again.content == b""


@pytest.mark.parametrize(
    "path", ["/embed.js", "/static/launcher/launcher.js", "/static/js/locale.js"]
)
async def test_only_named_origins_may_load_it(client: httpx2.AsyncClient, path: str) -> None:
    named = await client.get(path, headers={"Origin": SITE})
    assert named.headers["access-control-allow-origin"] == SITE
    assert "access-control-allow-credentials" not in named.headers
    for origin in (FOREIGN, "null", "https://example.com", f"{SITE}.evil.example", f"{SITE}:8443"):
        refused = await client.get(path, headers={"Origin": origin})
        assert "access-control-allow-origin" not in refused.headers
        assert "Origin" in refused.headers["vary"]


async def test_a_module_that_did_not_change_may_be_used_as_well(client: httpx2.AsyncClient) -> None:
    path = "/static/launcher/launcher.js"
    tag = (await client.get(path)).headers["etag"]

    again = await client.get(path, headers={"Origin": SITE, "If-None-Match": tag})

    assert again.status_code == 304
    assert again.headers["access-control-allow-origin"] == SITE


@pytest.mark.parametrize("path", ["/", "/embed", "/config.json", "/readyz"])
async def test_what_is_not_the_launchers_no_site_gets_to_read(
    client: httpx2.AsyncClient, path: str
) -> None:
    response = await client.get(path, headers={"Origin": SITE})
    assert "access-control-allow-origin" not in response.headers

    preflight = {"Origin": SITE, "Access-Control-Request-Method": "POST"}
    answer = await client.options("/chatkit", headers=preflight)
    assert "access-control-allow-origin" not in answer.headers


async def test_every_site_may_ask_for_it(closed: httpx2.AsyncClient) -> None:
    response = await closed.get("/embed.js")

    assert response.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_only_named_origins_may_frame_it(client: httpx2.AsyncClient) -> None:
    response = await client.get("/embed")
    policy = response.headers["content-security-policy"]

    assert f"frame-ancestors 'self' {SITE}" in policy
    assert "script-src 'self' https://cdn.platform.openai.com;" in policy
    assert "x-frame-options" not in response.headers


async def test_the_embedded_page_is_the_page(client: httpx2.AsyncClient) -> None:
    page = (await client.get("/")).text

    embedded = (await client.get("/embed")).text

    assert f'<html data-embedded data-origins="{SITE}" ' in embedded
    assert "static/launcher/frame/main.js" in embedded
    assert "static/js/main.js" not in embedded
    assert embedded.count("<openai-chatkit>") == 1
    assert "data-embedded" not in page
    same = embedded.replace(f' data-embedded data-origins="{SITE}"', "")
    same = same.replace("launcher/frame/main.js", "js/main.js")
    same = re.sub(
        r'  <link rel="stylesheet" href="static/launcher/embedded\.\w+\.css">\n  ', "", same
    )
    assert same == re.sub(r'  <link rel="preload" href="config.json".*>\n  ', "", page)


async def test_the_frame_makes_a_user_whom_its_configuration_knows(url: str) -> None:
    async with httpx2.AsyncClient(base_url=url) as frame:
        cookies = (await frame.get("/embed")).headers.get_list("set-cookie")

    assert all("Partitioned" in cookie for cookie in cookies)


async def test_by_default_it_stays_at_home(closed: httpx2.AsyncClient) -> None:
    assert config_in((await closed.get("/embed.js")).text)["origins"] == []
    policy = (await closed.get("/embed")).headers["content-security-policy"]
    assert policy.endswith("frame-ancestors 'self'")
    module = await closed.get("/static/launcher/launcher.js", headers={"Origin": SITE})
    assert "access-control-allow-origin" not in module.headers
    assert 'data-origins=""' in (await closed.get("/embed")).text
