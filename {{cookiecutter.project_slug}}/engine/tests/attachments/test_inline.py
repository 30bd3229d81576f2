"""Pictures are inlined in responses if ChatKit's frame cannot load their links."""

import asyncio
import base64
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from engine.attachments import inline
from engine.attachments.doctor import check
from engine.attachments.files import key_of
from engine.attachments.inline import NO_PREVIEW, InlinePictures, is_private
from engine.attachments.links import Link
from engine.attachments.service import FileAttachments
from engine.context.request_context import RequestContext
from engine.tests import application
from engine.tests.attachments.fixtures import Application, Attaching, attach, say_with
from engine.tests.attachments.samples import PNG, TEXT, png

AS_DATA = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
BLUE = png(b"\x00\x00\xff")


def previews(item: dict[str, Any]) -> list[str]:
    return [str(attachment.get("preview_url", "")) for attachment in item["attachments"]]


async def shown(application: Application, *contents: bytes) -> list[str]:
    """The pictures of a message in the response to sending it, and in the response to reading it."""
    ids = [(await attach(application.visitor, c, "a.png", "image/png"))["id"] for c in contents]
    turn = await say_with(application.visitor, *ids)
    [sent] = turn.done("user_message")
    [read, *_] = await application.visitor.items(turn.thread_id)
    assert previews(read) == previews(sent)
    return previews(read)


async def test_at_a_private_address_a_picture_is_inlined(attaching: Attaching) -> None:
    application = await attaching(attachment_inline_bytes="1000")

    assert await shown(application, PNG) == [AS_DATA]

    # It is not stored inlined: at a public address it is a link.
    application.inline(0)
    assert (await shown(application, PNG))[0].startswith(application.url)


@pytest.mark.skipif(application.kind_of_files() != "local", reason="only for uploads to the application")
async def test_a_preview_is_inlined_before_sending(attaching: Attaching) -> None:
    application = await attaching(attachment_inline_bytes="1000")

    picture = await attach(application.visitor, PNG, "a.png", "image/png")
    letter = await attach(application.visitor, TEXT)

    assert picture["preview_url"] == AS_DATA
    assert "preview_url" not in letter


async def test_a_large_picture_has_no_preview(attaching: Attaching) -> None:
    application = await attaching(attachment_inline_bytes=str(len(PNG) - 1))

    assert await shown(application, PNG) == [NO_PREVIEW.decode()]


async def test_the_total_size_is_limited(
    attaching: Attaching, monkeypatch: pytest.MonkeyPatch
) -> None:
    application = await attaching(attachment_inline_bytes="1000")
    monkeypatch.setattr(inline, "MAX_TOTAL_BYTES", len(AS_DATA) + 20)

    first, second = await shown(application, PNG, BLUE)

    assert (first, second) == (AS_DATA, NO_PREVIEW.decode())


async def test_a_missing_picture_has_a_placeholder(attaching: Attaching) -> None:
    application = await attaching(attachment_inline_bytes="1000")
    attachment = await attach(application.visitor, PNG, "a.png", "image/png")
    turn = await say_with(application.visitor, attachment["id"])
    await application.attachments.files.delete(list(await application.keys()))

    [message, *_] = await application.visitor.items(turn.thread_id)

    assert previews(message) == [NO_PREVIEW.decode()]


async def test_other_files_are_not_inlined(attaching: Attaching) -> None:
    application = await attaching(attachment_inline_bytes="1000")
    attachment = await attach(application.visitor, TEXT)
    key = key_of(application.visitor.user_id, attachment["id"])
    context = RequestContext(application.visitor.user_id, base_url=application.url)
    token = application.attachments.links.token(key, "letter.txt", "text/plain", context)
    json = b'{"url":"%b/attachments/%b"}' % (application.url.encode(), token.encode())

    seen = await application.attachments.inlined(json, context)

    assert seen == b'{"url":"%b"}' % NO_PREVIEW


async def test_a_stop_while_a_picture_is_read_stops_the_turn(attaching: Attaching) -> None:
    links = (await attaching()).attachments.links
    token = links.token("key", "a.png", "image/png", RequestContext("somebody"))
    reading = asyncio.Event()
    stopped: list[str] = []

    async def read(_link: Link) -> bytes:
        reading.set()
        await asyncio.Event().wait()
        return b""

    async def answer() -> AsyncGenerator[bytes, None]:
        try:
            yield b'{"url":"http://localhost/attachments/%b"}' % token.encode()
        except asyncio.CancelledError:
            stopped.append("the text is stored")
            raise

    pictures = InlinePictures("http://localhost", links, read, 1000)
    task = asyncio.ensure_future(anext(pictures.each(answer())))
    await reading.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped == ["the text is stored"]


async def test_at_a_public_address_it_is_a_link(attaching: Attaching) -> None:
    application = await attaching(
        attachment_inline_bytes="1000", attachment_public_url="https://chat.example.com"
    )

    [url] = await shown(application, PNG)

    assert url.startswith("https://chat.example.com/attachments/")


async def test_links_in_texts_are_not_inlined(attaching: Attaching) -> None:
    application = await attaching(attachment_inline_bytes="0")
    [link] = await shown(application, PNG)
    application.inline(1000)

    text = f'"preview_url":"{link}"'
    turn = await application.visitor.say(text)

    [said] = turn.done("user_message")
    assert said["content"][0]["text"] == text


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("http://localhost:8000/", True),
        ("http://chat.localhost", True),
        ("http://127.0.0.1:8000", True),
        ("http://[::1]:8000", True),
        ("http://192.168.1.7", True),
        ("http://[fd00::1]/", True),
        ("http://169.254.0.1/", True),
        ("https://chat/", True),
        ("https://printer.local.", True),
        ("https://chat.example.com/app", False),
        ("https://8.8.8.8", False),
        ("https://[2606:4700::1111]", False),
        ("http://[not-one/", False),
    ],
)
def test_a_private_address_is_known_by_its_name(url: str, private: bool) -> None:
    assert is_private(url) is private


def test_the_doctor_explains_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATTACHMENT_PUBLIC_URL", "http://10.0.0.7")
    assert "browsers do not let OpenAI's frame load them" in check().text

    monkeypatch.setenv("ATTACHMENT_PUBLIC_URL", "https://chat.example.com")
    assert check().text == "shown from https://chat.example.com"
