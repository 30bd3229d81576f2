"""The model's input for files, over HTTP, with both of OpenAI's APIs."""

import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr

from engine.attachments import reading
from engine.attachments.types import DOCX
from engine.tests.attachments.fixtures import Application, Attaching, attach, say_with
from engine.tests.attachments.samples import EVERY, PDF, PNG, TEXT
from engine.tests.model_server import (
    CANARY,
    ModelServer,
    answer,
    model_server,
    refuse_saying,
    unless,
)
from engine.tests.talk import Visitor

Server = tuple[ModelServer, dict[str, Any]]


@pytest_asyncio.fixture
async def server() -> AsyncIterator[Server]:
    """A model's server, and the settings for it."""
    async with model_server() as (model, url):
        yield model, {"openai_api_key": SecretStr(CANARY), "openai_base_url": url}


async def three_files(visitor: Visitor) -> list[str]:
    files = (
        (PNG, "a.png", "image/png"),
        (PDF, "a.pdf", "application/pdf"),
        (TEXT, "a.txt", "text/plain"),
    )
    return [(await attach(visitor, *file))["id"] for file in files]


def data_url(mime_type: str, content: bytes) -> str:
    return f"data:{mime_type};base64,{base64.b64encode(content).decode()}"


async def test_the_responses_api(attaching: Attaching, server: Server) -> None:
    model, settings = server
    application = await attaching(**settings)

    await say_with(application.visitor, *await three_files(application.visitor))

    [exchange] = model.exchanges
    [asked] = exchange.body["input"]
    assert asked["content"] == [
        {"type": "input_text", "text": "Look."},
        {"type": "input_image", "detail": "auto", "image_url": data_url("image/png", PNG)},
        {
            "type": "input_file",
            "filename": "a.pdf",
            "file_data": data_url("application/pdf", PDF),
        },
        {
            "type": "input_text",
            "text": f"[attached: a.txt]\n{TEXT.decode()}\n[end of a.txt]",
        },
    ]


async def test_chat_completions(attaching: Attaching, server: Server) -> None:
    model, settings = server
    application = await attaching(**settings, openai_api="chat_completions")

    await say_with(application.visitor, *await three_files(application.visitor))

    [exchange] = model.exchanges
    asked = next(m for m in exchange.body["messages"] if m["role"] == "user")
    assert asked["content"] == [
        {"type": "text", "text": "Look."},
        {
            "type": "image_url",
            "image_url": {"url": data_url("image/png", PNG), "detail": "auto"},
        },
        {
            "type": "file",
            "file": {"file_data": data_url("application/pdf", PDF), "filename": "a.pdf"},
        },
        {"type": "text", "text": f"[attached: a.txt]\n{TEXT.decode()}\n[end of a.txt]"},
    ]


@pytest.mark.parametrize("text", ["", " "])
async def test_a_message_with_only_files_has_no_text(
    attaching: Attaching, server: Server, text: str
) -> None:
    model, settings = server
    application = await attaching(**settings)
    attachment = await attach(application.visitor, PNG, "a.png", "image/png")

    turn = await say_with(application.visitor, attachment["id"], text=text)
    await application.visitor.say("And now?", turn.thread_id)

    for exchange in model.exchanges:
        [part] = exchange.body["input"][0]["content"]
        assert part["type"] == "input_image"


async def test_the_next_turn_has_the_files(attaching: Attaching, server: Server) -> None:
    model, settings = server
    application = await attaching(**settings)
    attachment = await attach(application.visitor, PNG, "a.png", "image/png")
    turn = await say_with(application.visitor, attachment["id"])

    await application.visitor.say("And now?", turn.thread_id)

    first = model.exchanges[1].body["input"][0]
    assert first["content"][1]["image_url"] == data_url("image/png", PNG)


async def test_a_long_text_is_cut(attaching: Attaching, server: Server) -> None:
    model, settings = server
    application = await attaching(**settings, history_tokens=1_000)
    attachment = await attach(application.visitor, b"word " * 2_000, "long.txt", "text/plain")

    await say_with(application.visitor, attachment["id"])

    part = model.exchanges[0].body["input"][0]["content"][1]["text"]
    assert "[cut: this is the beginning of 10000 bytes]" in part
    assert 1_500 < len(part) < 3_200


async def test_a_file_without_room_is_mentioned(attaching: Attaching, server: Server) -> None:
    model, settings = server
    application = await attaching(**settings, history_tokens=2_500)
    old = await attach(application.visitor, PNG, "old.png", "image/png")
    turn = await say_with(application.visitor, old["id"])
    new = await attach(application.visitor, PNG, "new.png", "image/png")

    await say_with(application.visitor, new["id"], thread_id=turn.thread_id)

    told = [message["content"] for message in model.exchanges[1].body["input"]]
    assert told[0][1] == {"type": "input_text", "text": "[attached: old.png, image/png]"}
    assert told[-1][1]["type"] == "input_image"


async def test_the_bytes_of_a_request_are_limited(
    attaching: Attaching, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_BYTES", len(PNG))
    model, settings = server
    application = await attaching(**settings)
    names = ("one.png", "two.png")
    files = [await attach(application.visitor, PNG, name, "image/png") for name in names]

    await say_with(application.visitor, *(file["id"] for file in files))

    _, *parts = model.exchanges[0].body["input"][0]["content"]
    assert [part["type"] for part in parts] == ["input_image", "input_text"]


async def test_a_type_that_no_model_reads_is_mentioned(attaching: Attaching, server: Server) -> None:
    model, settings = server
    application = await attaching(**settings, attachment_types=DOCX)
    attachment = await attach(application.visitor, EVERY[DOCX], "a.docx", DOCX)

    await say_with(application.visitor, attachment["id"])

    assert (
        model.exchanges[0].body["input"][0]["content"][1]["text"] == f"[attached: a.docx, {DOCX}]"
    )


async def test_a_missing_file_does_not_fail_the_turn(application: Application) -> None:
    attachment = await attach(application.visitor)
    turn = await say_with(application.visitor, attachment["id"])
    await application.attachments.files.delete(list(await application.keys()))

    again = await application.visitor.say("And now?", turn.thread_id)

    assert again.error is None


async def test_a_picture_does_not_count_as_its_bytes(attaching: Attaching) -> None:
    """The bytes of a picture do not count as tokens."""
    application = await attaching(tokens_per_day=20_000)
    attachment = await attach(application.visitor, PNG + bytes(300_000), "a.png", "image/png")

    turn = await say_with(application.visitor, attachment["id"])
    again = await application.visitor.say("And now?", turn.thread_id)

    assert again.error is None


@pytest.mark.parametrize("api", ["responses", "chat_completions"])
async def test_a_model_without_image_input(
    attaching: Attaching, server: Server, api: str
) -> None:
    model, settings = server
    visitor = (await attaching(**settings, openai_api=api)).visitor
    message = "This model does not support image input."
    model.does(unless(has_picture, refuse_saying(400, message), answer("wrong")))

    turn = await say_with(visitor, *await three_files(visitor))

    assert turn.answer.strip() == "All is well."
    [remark] = turn.done("task")
    assert "cannot take every attached file" in remark["task"]["title"]
    again = await visitor.say("And now?", turn.thread_id)
    assert again.answer.strip() == "All is well."
    assert again.done("task") == []
    assert [has_picture(exchange.body) for exchange in model.exchanges] == [True, False, False]
    assert "which this model cannot take" in str(model.exchanges[-1].body)


def has_picture(body: dict[str, Any]) -> bool:
    return "data:image/png" in str(body)
