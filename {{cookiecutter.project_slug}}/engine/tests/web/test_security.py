import re
from importlib.util import find_spec
from typing import Any

import httpx2
import pytest
from fastapi import FastAPI, Response

from engine.http.security_headers import SecurityHeadersMiddleware, security_headers
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.talk import Visitor, message

LISTENS = find_spec("engine.dictation") is not None
CDN = "https://cdn.platform.openai.com"


def policy(**values: object) -> dict[str, set[str]]:
    text = security_headers(chosen(**values))["Content-Security-Policy"]
    directives = [part.split() for part in text.split(";")]
    return {name: set(sources) for name, *sources in directives}


def chosen(**values: object) -> Settings:
    return Settings.model_validate(values)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/config.json"),
        ("GET", "/static/js/main.js"),
        ("GET", "/nowhere"),
        ("POST", "/chatkit"),
        ("GET", "/healthz"),
    ],
)
async def test_every_response_has_security_headers(
    visitor: Visitor, method: str, path: str
) -> None:
    response = await visitor.client.request(method, path)

    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["referrer-policy"] == "strict-origin-when-cross-origin"
    is_closed = "microphone=()" in response.headers["permissions-policy"]
    assert is_closed is not LISTENS
    assert "script-src 'self' " in response.headers["content-security-policy"]
    assert "cross-origin-embedder-policy" not in response.headers
    # It has no list of origins, and would forbid frames that `frame-ancestors` allows.
    assert "x-frame-options" not in response.headers
    assert response.headers["cross-origin-resource-policy"] == "same-origin"
    assert response.headers["cross-origin-opener-policy"] == "same-origin-allow-popups"
    # This server speaks plain HTTP.
    assert "strict-transport-security" not in response.headers


@pytest.mark.parametrize(
    ("type_", "params"),
    [("threads.list", {}), ("threads.create", {"input": message("hi")}), ("nonsense", {})],
    ids=["JSON", "events", "a refusal"],
)
async def test_responses_with_messages_are_not_cached(
    visitor: Visitor, type_: str, params: dict[str, Any]
) -> None:
    response = await visitor.send(type_, **params)

    assert response.headers.get_list("cache-control") == ["no-store"]


@pytest.mark.parametrize("is_given", [True, False])
async def test_openapi_json_is_off_by_default(settings: Settings, is_given: bool) -> None:
    app = create_app(settings.model_copy(update={"openapi_json": is_given}))
    async with httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app), base_url="http://chat.test"
    ) as client:
        status = (await client.get("/openapi.json")).status_code
        assert (await client.get("/docs")).status_code == 404
    assert status == (200 if is_given else 404)


async def test_the_microphone_is_allowed_with_dictation_only(visitor: Visitor) -> None:
    extras = (await visitor.client.get("/config.json")).json()["extras"]

    is_offered = "dictation" in extras.get("composer", {})
    assert is_offered is LISTENS


async def test_streamed_responses_have_security_headers(visitor: Visitor) -> None:
    body = {"content": [{"type": "input_text", "text": "hi"}], "attachments": []}
    response = await visitor.send("threads.create", input={**body, "inference_options": {}})

    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-content-type-options"] == "nosniff"


def test_only_the_cdns_script_and_frame_are_allowed_besides_the_own_files() -> None:
    assert policy() == {
        "default-src": {"'none'"},
        "script-src": {"'self'", CDN},
        "frame-src": {CDN},
        "connect-src": {"'self'"},
        "style-src": {"'self'", "'unsafe-inline'"},
        "img-src": {"'self'", "data:", "blob:"},
        "font-src": {"'self'"},
        "manifest-src": {"'self'"},
        "base-uri": {"'none'"},
        "form-action": {"'self'"},
        "frame-ancestors": {"'self'"},
    }


def test_unused_browser_features_are_forbidden() -> None:
    headers = security_headers(chosen())

    assert headers["Permissions-Policy"] == (
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()"
    )


def test_another_script_url_is_allowed_instead_of_the_cdn() -> None:
    allowed = policy(chatkit_script_url="https://mirror.test:8443/chatkit.js")

    assert allowed["script-src"] == {"'self'", "https://mirror.test:8443"}
    assert allowed["frame-src"] == {"https://mirror.test:8443"}


def test_only_named_sites_may_frame_the_page() -> None:
    assert policy()["frame-ancestors"] == {"'self'"}
    sites = "https://www.example.com, https://intranet.example.com"
    assert policy(allowed_origins=sites)["frame-ancestors"] == {
        "'self'",
        "https://www.example.com",
        "https://intranet.example.com",
    }


def test_csp_extra_allows_more_sources() -> None:
    extra = "connect-src https://api.test wss://api.test; font-src https://fonts.test;"
    allowed = policy(csp_extra=extra)

    assert allowed["connect-src"] == {"'self'", "https://api.test", "wss://api.test"}
    assert allowed["font-src"] == {"'self'", "https://fonts.test"}


@pytest.mark.parametrize(
    ("extra", "complaint"),
    [
        ("script-src 'unsafe-inline'", "must not allow 'unsafe-inline'"),
        ("script-src https:", "must not allow https:"),
        ("default-src *", "must not allow *"),
        ("plugin-src https://x.test", "plugin-src must be one of"),
        ("https://api.test", "must be a directive"),
        ("connect-src", "must be a directive"),
        ("connect-src https://x.test\r\nSet-Cookie: a=b", "must be a directive"),
    ],
)
def test_an_unsafe_csp_extra_is_refused(extra: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        policy(csp_extra=extra)


def test_separators_in_a_url_are_escaped() -> None:
    headers = security_headers(chosen(), connect=["https://files.test/a;b,c d/"])

    assert (
        "connect-src 'self' https://files.test/a%3Bb%2Cc%20d/;"
        in (headers["Content-Security-Policy"])
    )


def test_upload_origins_are_allowed() -> None:
    headers = security_headers(chosen(), connect=["https://files.test"])

    assert "connect-src 'self' https://files.test;" in headers["Content-Security-Policy"]


def test_the_microphone_is_allowed_for_the_element() -> None:
    headers = security_headers(chosen(), microphone=True)

    assert f'microphone=(self "{CDN}")' in headers["Permissions-Policy"]


def asking(base_url: str = "http://chat.test", **values: object) -> httpx2.AsyncClient:
    settings = chosen(**values)
    app = FastAPI()
    headers = security_headers(settings)
    app.add_middleware(SecurityHeadersMiddleware, headers=headers, settings=settings)

    @app.get("/file")
    async def file() -> Response:
        return Response(headers={"Content-Security-Policy": "default-src 'none'; sandbox"})

    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=base_url)


@pytest.mark.parametrize(
    ("base_url", "seconds", "expected"),
    [
        ("https://chat.test", 31_536_000, "max-age=31536000"),
        ("https://chat.test", 60, "max-age=60"),
        ("https://chat.test", 0, None),
        ("http://chat.test", 31_536_000, None),
    ],
)
async def test_hsts_is_sent_over_https_only(
    base_url: str, seconds: int, expected: str | None
) -> None:
    async with asking(base_url, hsts_seconds=seconds) as client:
        response = await client.get("/file")

    assert response.headers.get("strict-transport-security") == expected


async def test_a_response_can_set_a_header_itself() -> None:
    async with asking() as client:
        response = await client.get("/file")

    assert response.headers.get_list("content-security-policy") == ["default-src 'none'; sandbox"]
    assert response.headers["x-content-type-options"] == "nosniff"
