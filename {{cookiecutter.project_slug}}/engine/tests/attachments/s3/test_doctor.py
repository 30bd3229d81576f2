"""The doctor's trial of the bucket: at signed addresses, as a browser would."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import httpx2
import pytest
import pytest_asyncio
from starlette.responses import Response

from engine.attachments.s3 import doctor
from engine.settings.finding import Finding
from engine.tests.attachments.s3 import kind as s3
from engine.tests.attachments.s3.front import Front, error, front

PAGE = "https://chat.test"
ALLOWED = {
    "access-control-allow-origin": PAGE,
    "access-control-allow-methods": "PUT, GET",
    "access-control-allow-headers": "Content-Type",
}


@pytest_asyncio.fixture
async def store(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Front]:
    s3.without_amazons_settings(monkeypatch)
    async with front() as store:
        with s3.place(tmp_path) as environment:
            given = {**environment, "S3_ENDPOINT_URL": store.url, "S3_REGION": "eu-central-1"}
            for name, value in given.items():
                monkeypatch.setenv(name, value)
            monkeypatch.setenv("ATTACHMENT_PUBLIC_URL", f"{PAGE}/chat")
            allow(store)
            yield store


def allow(store: Front, **changes: Response) -> None:
    """Let the page upload; answer requests with these methods like this."""
    answers = {"OPTIONS": Response(headers=ALLOWED), **changes}
    store.rule = lambda request, _body: answers.get(
        "LIST" if "list-type" in request.query_params else request.method
    )


async def finding() -> Finding:
    return await asyncio.to_thread(doctor.check)


async def test_a_bucket_that_will_do(store: Front) -> None:
    found = await finding()

    assert found.state == "ok", found.text
    assert "in eu-central-1 at http://127.0.0.1" in found.text
    assert found.text.endswith(f"put, read, deleted and listed; {PAGE} may upload")
    assert [request.method for request in store.requests] == [
        "PUT", "GET", "DELETE", "GET", "OPTIONS",
    ]  # fmt: skip
    [key] = {r.url.path for r in store.requests if r.method in {"PUT", "DELETE"}}
    assert "/attachments/incoming/doctor/" in key
    assert all("X-Amz-Signature" in store.came(m)[0].url.query for m in ("PUT", "GET", "DELETE"))
    async with httpx2.AsyncClient() as client:
        assert (await client.get(f"{s3.server()}{key}")).status_code == 404


DENIED = error(403, "AccessDenied", Message="Access Denied")


@pytest.mark.parametrize(
    ("method", "right"),
    [
        ("PUT", "s3:PutObject"),
        ("GET", "s3:GetObject"),
        ("DELETE", "s3:DeleteObject"),
        ("LIST", "s3:ListBucket"),
    ],
)
async def test_the_right_that_is_missing(store: Front, method: str, right: str) -> None:
    allow(store, **{method: DENIED})

    found = await finding()

    assert found.state == "fail"
    assert f"{right} is missing (AccessDenied)" in found.text
    assert found.text.count("is missing") == 1


async def test_all_rights_that_are_missing(store: Front) -> None:
    allow(store, PUT=DENIED, DELETE=DENIED)

    found = await finding()

    assert "s3:PutObject is missing" in found.text
    assert "s3:DeleteObject is missing" in found.text


NOW = datetime.now(UTC)
SKEWED = {"date": format_datetime(NOW - timedelta(hours=1), usegmt=True)}


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (error(403, "RequestTimeTooSkewed"), "the clock of this machine is wrong"),
        # Amazon's words for a signed address whose time has not come.
        (error(403, "AccessDenied", headers=SKEWED), "ahead of the store's: set it (NTP)"),
        (
            error(301, "PermanentRedirect", headers={"x-amz-bucket-region": "eu-west-3"}),
            "set S3_REGION=eu-west-3",
        ),
        (
            error(400, "AuthorizationQueryParametersError", Region="eu-west-3"),
            "is not in eu-central-1 (AuthorizationQueryParametersError): set S3_REGION=eu-west-3",
        ),
        (error(307, "TemporaryRedirect"), "set S3_REGION to the bucket's own"),
        (error(404, "NoSuchBucket"), "there is no bucket test-"),
        (error(403, "SignatureDoesNotMatch"), "replace S3_SECRET_ACCESS_KEY"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_faults_are_told_with_their_mend(store: Front, response: Response, said: str) -> None:
    allow(store, PUT=response, GET=response, DELETE=response)

    found = await finding()

    assert found.state == "fail"
    assert said in found.text
    assert found.text.count(said) == 1
    assert "\n" not in found.text


@pytest.mark.parametrize(
    "answer",
    [
        Response(status_code=403),
        Response(status_code=307, headers={"location": "https://elsewhere.test"}),
        Response(headers={**ALLOWED, "access-control-allow-origin": "https://other.test"}),
        Response(headers={**ALLOWED, "access-control-allow-methods": "GET"}),
        Response(headers={**ALLOWED, "access-control-allow-headers": "x-other"}),
        Response(),
    ],
    ids=["403", "redirect", "origin", "method", "header", "none"],
)
async def test_a_page_that_may_not_upload(
    store: Front, monkeypatch: pytest.MonkeyPatch, answer: Response
) -> None:
    allow(store, OPTIONS=answer)

    found = await finding()

    assert found.state == "fail"
    assert f"{PAGE} may not upload (CORS): allow PUT" in found.text
    [asked] = store.came("OPTIONS")
    assert asked.headers["origin"] == PAGE
    assert asked.headers["access-control-request-method"] == "PUT"
    assert asked.headers["access-control-request-headers"] == "content-type"
    monkeypatch.delenv("ATTACHMENT_PUBLIC_URL")
    guessed = await finding()
    assert guessed.state == "warn"
    assert "http://127.0.0.1:8000 may not upload" in guessed.text
    assert "set ATTACHMENT_PUBLIC_URL" in guessed.text


async def test_any_page_may_upload(store: Front) -> None:
    allow(store, OPTIONS=Response(headers=dict.fromkeys(ALLOWED, "*")))
    assert (await finding()).state == "ok"


async def test_what_is_no_store(store: Front) -> None:
    store.rule = lambda _request, _body: Response("<html>Welcome</html>")
    found = await finding()
    assert found.state == "fail"
    assert "what was put is not what is read" in found.text


async def test_nobody_is_there(store: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("S3_ENDPOINT_URL", "http://127.0.0.1:9")
    found = await finding()
    assert found.state == "fail"
    assert "http://127.0.0.1:9 does not answer" in found.text
    assert "S3_ENDPOINT_URL" in found.text


async def test_no_credentials(store: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in s3.ACCESS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    found = await finding()
    assert found.state == "fail"
    assert "set S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY" in found.text
    assert store.requests == []


async def test_no_bucket(store: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("S3_BUCKET")
    assert await finding() == Finding("warn", "S3_BUCKET is not set: nothing can be attached")
    assert store.requests == []
