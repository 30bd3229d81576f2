"""Two-phase uploads: created at the application, then sent to the store."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from engine.tests.attachments.fixtures import Application, Attaching, attach, say_with, send
from engine.tests.attachments.s3 import kind as s3
from engine.tests.attachments.samples import HTML, PNG, TEXT, png
from engine.tests.talk import PATIENCE_SECONDS


@asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[str, list[None]]]:
    """A server that never responds: its URL, and an entry for each connection."""
    came: list[None] = []

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(None)
        await reader.read()  # ends when the client disconnects
        writer.close()

    async with await asyncio.start_server(read, "127.0.0.1") as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", came


async def announce(application: Application, size: int = len(PNG)) -> dict[str, object]:
    params: Any = {"name": "a.png", "size": size, "mime_type": "image/png"}
    response = await application.visitor.send("attachments.create", **params)
    assert response.status_code == 200, response.text
    attachment: dict[str, object] = response.json()
    return attachment


async def test_size_and_type_are_signed(attaching: Attaching) -> None:
    application = await attaching(s3_upload_seconds="77")

    attachment = await announce(application)

    descriptor = attachment["upload_descriptor"]
    assert isinstance(descriptor, dict)
    assert (descriptor["method"], descriptor["headers"]) == ("PUT", {"Content-Type": "image/png"})
    query = parse_qs(urlsplit(str(descriptor["url"])).query)
    assert query["X-Amz-SignedHeaders"] == ["content-length;content-type;host"]
    assert query["X-Amz-Expires"] == ["77"]


@pytest.mark.parametrize("changes", [{}, {"s3_public_endpoint_url": "https://files.example.com"}])
async def test_the_page_may_send_files_to_the_store(
    attaching: Attaching, changes: dict[str, str]
) -> None:
    application = await attaching(**changes)
    attachment: Any = await announce(application)
    url = attachment["upload_descriptor"]["url"]

    page = await application.visitor.client.get("/")

    directives = page.headers["content-security-policy"].split("; ")
    [connect] = [directive for directive in directives if directive.startswith("connect-src ")]
    sources = connect.split()[2:]
    assert [url.startswith(source) for source in sources].count(True) == 1
    assert all("test-" in source for source in sources)  # only this bucket


async def test_browsers_may_use_another_address_of_the_store(attaching: Attaching) -> None:
    application = await attaching(s3_public_endpoint_url="https://files.example.com")

    descriptor = (await announce(application))["upload_descriptor"]

    assert isinstance(descriptor, dict)
    assert descriptor["url"].startswith("https://files.example.com/")


async def test_unsupported_files_are_refused_at_creation(attaching: Attaching) -> None:
    application = await attaching(attachment_max_bytes="1000")

    for size, mime_type, code in (
        (1, "application/zip", "unsupported_file"),
        (1_001, "image/png", "file_too_large"),
        (0, "image/png", "invalid_request"),
    ):
        params: Any = {"name": "a", "size": size, "mime_type": mime_type}
        response = await application.visitor.send("attachments.create", **params)
        assert response.json()["error"]["code"] == code


async def test_a_missing_upload_cannot_be_sent(application: Application) -> None:
    attachment = await announce(application)

    response = await send(application.visitor, str(attachment["id"]))

    assert response.status_code == 422
    assert response.json()["error"]["message"] == "attachments: this file has not been uploaded."
    await s3.put(attachment, PNG)
    assert (await send(application.visitor, str(attachment["id"]))).status_code == 200


@pytest.mark.parametrize("content", [HTML, TEXT, bytes(100)], ids=["page", "text", "zeros"])
async def test_an_upload_of_another_type_is_not_sent(
    application: Application, content: bytes
) -> None:
    attachment = await announce(application)
    await s3.put(attachment, content)

    response = await send(application.visitor, str(attachment["id"]))

    assert (response.status_code, response.json()["error"]["code"]) == (415, "unsupported_file")
    assert await application.keys() == set()


async def test_a_larger_upload_is_not_sent(attaching: Attaching) -> None:
    """For a store that does not check the signed size."""
    application = await attaching(attachment_max_bytes="100")
    attachment = await announce(application)
    await s3.put(attachment, PNG + bytes(100))

    response = await send(application.visitor, str(attachment["id"]))

    assert (response.status_code, response.json()["error"]["code"]) == (413, "file_too_large")
    assert await application.keys() == set()


async def test_a_sent_file_cannot_be_replaced(application: Application) -> None:
    attachment = await announce(application)
    await s3.put(attachment, PNG)
    await say_with(application.visitor, str(attachment["id"]))
    [key] = await application.keys()

    await s3.put(attachment, png(b"\x00\x00\x00"))

    assert await application.attachments.files.read(key) == PNG


async def test_the_upload_url_is_returned_only_once(application: Application) -> None:
    attachment = await attach(application.visitor, PNG, "a.png", "image/png")

    turn = await say_with(application.visitor, attachment["id"])

    items = await application.visitor.items(turn.thread_id)
    told = [*turn.done("user_message")[0]["attachments"], *items[0]["attachments"]]
    assert all("upload_descriptor" not in a for a in told)


async def test_a_presigned_url_expires_before_our_link(attaching: Attaching) -> None:
    application = await attaching(attachment_link_seconds="60")
    attachment = await attach(application.visitor, PNG, "a.png", "image/png")
    turn = await say_with(application.visitor, attachment["id"])
    [message, *_] = await application.visitor.items(turn.thread_id)

    async with httpx2.AsyncClient() as browser:
        response = await browser.get(message["attachments"][0]["preview_url"])

    query = parse_qs(urlsplit(response.headers["location"]).query)
    assert 0 < int(query["X-Amz-Expires"][0]) <= 121
    assert query["response-content-type"] == ["image/png"]


async def test_an_unavailable_store(attaching: Attaching) -> None:
    application = await attaching()
    attachment = await attach(application.visitor)
    away = await attaching(s3_endpoint_url="http://127.0.0.1:9")

    response = await away.visitor.send(
        "attachments.create", name="a", size=1, mime_type="text/plain"
    )
    assert response.status_code == 200, "presigning needs no request"
    response = await send(away.visitor, response.json()["id"])

    assert (response.status_code, response.json()["error"]["code"]) == (503, "files_unavailable")
    assert attachment["id"]


async def test_a_store_that_never_responds(
    attaching: Attaching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.attachments.s3.clients.READ_SECONDS", 0.2)
    async with silent_server() as (url, came):
        silent = await attaching(s3_endpoint_url=url)
        announced = await announce(silent)

        async with asyncio.timeout(PATIENCE_SECONDS):
            response = await send(silent.visitor, str(announced["id"]))

    assert (response.status_code, response.json()["error"]["code"]) == (503, "files_unavailable")
    # One to copy it, and one to delete the copy.
    assert len(came) == 2 * 3


async def test_without_a_bucket_attachments_are_disabled(attaching: Attaching) -> None:
    application = await attaching(s3_bucket="")

    extras = (await application.visitor.client.get("/config.json")).json()["extras"]
    response = await application.visitor.send(
        "attachments.create", name="a", size=1, mime_type="text/plain"
    )

    assert "attachments" not in extras.get("composer", {})
    assert response.status_code == 422
    assert await application.attachments.erase(application.visitor.user_id)
