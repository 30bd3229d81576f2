"""Refused files, of which nothing stays stored."""

import asyncio
from typing import Any

import pytest
from chatkit.types import FileAttachment

from engine.attachments.rows import AttachmentRows
from engine.attachments.service import MAX_UNSENT
from engine.attachments.types import DOCX
from engine.context.ids import new_id
from engine.database.database import Database
from engine.tests.attachments.fixtures import (
    Application,
    Attaching,
    attach,
    refusal,
    say_with,
    send,
)
from engine.tests.attachments.fixtures import upload as upload_file
from engine.tests.attachments.samples import EVERY, HTML, PDF, PNG, PROGRAM, TEXT, archive


@pytest.mark.parametrize("mime_type", EVERY)
async def test_every_type_is_accepted(attaching: Attaching, mime_type: str) -> None:
    application = await attaching(attachment_types=",".join(EVERY))
    attachment = await attach(application.visitor, EVERY[mime_type], "a", mime_type)

    turn = await say_with(application.visitor, attachment["id"])

    [message] = turn.done("user_message")
    assert [a["mime_type"] for a in message["attachments"]] == [mime_type]
    assert turn.error is None


async def test_too_large(attaching: Attaching) -> None:
    application = await attaching(attachment_max_bytes="100")

    assert await refusal(application.visitor, b"x" * 101) == (413, "file_too_large")
    assert (await upload_file(application.visitor, b"x" * 100)).status_code == 200
    assert len(await application.keys()) == 1


async def test_empty(application: Application) -> None:
    assert await refusal(application.visitor, b"") == (422, "invalid_request")


@pytest.mark.parametrize(
    ("content", "name", "mime_type"),
    [
        (PROGRAM, "holiday.png", "image/png"),
        (PROGRAM, "notes.txt", "text/plain"),
        (PROGRAM, "program.exe", "application/x-msdownload"),
        (archive("a.txt"), "report.docx", DOCX),
        (archive("a.txt"), "a.zip", "application/zip"),
        (PNG[:4], "broken.png", "image/png"),
        (b"\xff\xfe" + "UTF-16".encode("utf-16-le"), "letter.txt", "text/plain"),
    ],
)
async def test_content_of_another_type_is_refused(
    attaching: Attaching, content: bytes, name: str, mime_type: str
) -> None:
    application = await attaching(attachment_types=",".join(EVERY))

    assert await refusal(application.visitor, content, name, mime_type) == (415, "unsupported_file")
    assert await application.keys() == set()


async def test_html_with_an_image_type(application: Application) -> None:
    """It is refused, or accepted as text."""
    response = await upload_file(application.visitor, HTML, "a.png", "image/png")
    sent = await send(application.visitor, response.json()["id"])

    if sent.status_code == 200:
        assert (response.json()["type"], response.json()["mime_type"]) == ("file", "text/plain")
    else:
        assert sent.status_code == 415


async def test_only_the_types_that_are_set(attaching: Attaching) -> None:
    application = await attaching(attachment_types="image/png,text/csv")

    assert (await upload_file(application.visitor, PNG, "a.png", "image/png")).status_code == 200
    assert await refusal(application.visitor, PDF, "a.pdf", "application/pdf") == (
        415,
        "unsupported_file",
    )


async def test_too_many_in_a_message(attaching: Attaching) -> None:
    application = await attaching(attachment_max_count="2")
    ids = [(await attach(application.visitor))["id"] for _ in range(3)]

    assert (await send(application.visitor, *ids)).status_code == 422
    assert (await send(application.visitor, ids[0], ids[0])).status_code == 422
    assert (await send(application.visitor, *ids[:2])).status_code == 200


async def test_no_room_left(attaching: Attaching) -> None:
    application = await attaching(attachment_user_bytes=str(len(TEXT)))
    attachment = await attach(application.visitor)
    turn = await say_with(application.visitor, attachment["id"])

    assert await refusal(application.visitor, b"x") == (413, "file_too_large")

    await application.visitor.send("threads.delete", thread_id=turn.thread_id)
    assert (await upload_file(application.visitor)).status_code == 200


async def test_parallel_uploads_cannot_exceed_the_limit(
    attaching: Attaching,
) -> None:
    application = await attaching(attachment_user_bytes=str(3 * len(TEXT)))

    responses = await asyncio.gather(*(upload_file(application.visitor) for _ in range(8)))

    assert sorted(response.status_code for response in responses) == [200] * 3 + [413] * 5


async def test_too_many_unsent_files(application: Application, database: Database) -> None:
    rows = AttachmentRows(database)
    for _ in range(MAX_UNSENT):
        waiting = FileAttachment(
            id=new_id("attachment"),
            name="a",
            mime_type="text/plain",
            metadata={"bytes": 1, "checked": True},
        )
        await rows.save(application.visitor.user_id, waiting)

    assert await refusal(application.visitor, TEXT) == (429, "too_many_files")
    assert (await upload_file(application.stranger)).status_code == 200


async def test_the_page_gets_the_limits(attaching: Attaching) -> None:
    application = await attaching(
        attachment_max_bytes="5", attachment_max_count="6", attachment_types="image/jpeg"
    )

    extras: dict[str, Any] = (await application.visitor.client.get("/config.json")).json()["extras"]

    assert extras["api"] == {"uploadStrategy": dict(application.attachments.upload_strategy)}
    assert extras["composer"]["attachments"] == {
        "enabled": True,
        "maxSize": 5,
        "maxCount": 6,
        "accept": {"image/jpeg": [".jpg", ".jpeg"]},
    }


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\me\\a.txt", "a.txt"),
        ("a\r\nSet-Cookie: x.txt", "a Set-Cookie: x.txt"),
        ("x" * 300 + ".txt", "x" * 196 + ".txt"),
        ("\x00", "file"),
        ("日本語.txt", "日本語.txt"),
    ],
)
async def test_names_are_cleaned(application: Application, given: str, kept: str) -> None:
    params = {"content": TEXT, "name": given, "mime_type": "text/plain"}

    assert (
        application.attachments.describe(given, "text/plain", 1, _context(), checked=True).name
        == kept
    ), params


def _context() -> Any:
    from engine.context.request_context import RequestContext

    return RequestContext("someone", base_url="http://chat.test/")
