"""Pictures: OpenAI generates them, and we stream and store them."""

import asyncio
import base64
from typing import Any

import httpx2
from pydantic import SecretStr

from engine.tests.attachments.fixtures import Application, Attaching, Clock, attaching, send
from engine.tests.attachments.samples import PNG, png
from engine.tests.model_server import Behaviour, Exchange, ModelServer, _completed, model_server
from engine.tests.talk import PATIENCE_SECONDS, Turn

__all__ = ["attaching"]

HALF = png(b"\x80\x00\x00")


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def draws(result: bytes, half: Behaviour | None = None) -> Behaviour:
    """The events of the Responses API for a picture; `half` runs after the first half."""

    async def behave(exchange: Exchange) -> None:
        call = {"id": "ig_1", "type": "image_generation_call", "status": "in_progress"}
        done = {**call, "status": "completed", "result": encoded(result)}
        text = {"type": "output_text", "text": "Here it is.", "annotations": []}
        message = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "status": "completed",
            "content": [text],
        }
        partial = {
            "type": "response.image_generation_call.partial_image",
            "item_id": "ig_1",
            "output_index": 0,
            "partial_image_b64": encoded(HALF),
            "partial_image_index": 1,
            "sequence_number": 1,
        }
        added = {"type": "response.output_item.added", "output_index": 0, "item": call}
        await exchange.begin()
        await exchange.stream([added, partial])
        if half is not None:
            await half(exchange)
        await exchange.stream(
            [
                {"type": "response.output_item.done", "output_index": 0, "item": done},
                {"type": "response.output_item.added", "output_index": 1, "item": message},
                {"type": "response.output_item.done", "output_index": 1, "item": message},
                _completed([done, message]),
            ]
        )
        await exchange.chunk("")

    return behave


async def drawn(
    attaching: Attaching, result: bytes = PNG, **settings: Any
) -> tuple[Application, Turn, ModelServer]:
    async with model_server() as (model, url):
        key = {"openai_api_key": SecretStr("key"), "openai_base_url": url}
        application = await attaching(**key, **settings)
        model.does(draws(result))
        turn = await application.visitor.say("Draw a red dot", tool="image")
        return application, turn, model


async def fetch(url: str) -> bytes:
    async with httpx2.AsyncClient(follow_redirects=True) as browser:
        return (await browser.get(url)).content


async def test_unfinished_pictures_are_streamed(attaching: Attaching) -> None:
    _, turn, model = await drawn(attaching)

    assert model.exchanges[0].body["tools"] == [{"type": "image_generation", "partial_images": 2}]
    [update] = [
        e["update"]
        for e in turn.events
        if e.get("update", {}).get("type") == "generated_image.updated"
    ]
    assert update["image"]["url"] == f"data:image/png;base64,{encoded(HALF)}"
    assert update["progress"] == 0.5
    assert turn.error is None
    assert turn.answer == "Here it is."


async def test_it_is_stored_as_a_file(attaching: Attaching) -> None:
    application, turn, _ = await drawn(attaching)

    [picture] = turn.done("generated_image")
    assert await fetch(picture["image"]["url"]) == PNG
    items = await application.visitor.items(turn.thread_id)
    assert [item["type"] for item in items] == [
        "user_message",
        "workflow",
        "generated_image",
        "assistant_message",
    ]
    assert await fetch(items[2]["image"]["url"]) == PNG
    assert "base64" not in str(items)
    assert len(await application.keys()) == 1


async def test_it_is_inlined_at_a_private_address(attaching: Attaching) -> None:
    application, turn, _ = await drawn(attaching, attachment_inline_bytes="1000")
    [picture] = turn.done("generated_image")
    items = await application.visitor.items(turn.thread_id)
    for shown in (picture, items[2]):
        assert shown["image"]["url"] == f"data:image/png;base64,{encoded(PNG)}"

    application.inline(0)  # its row has only the address
    items = await application.visitor.items(turn.thread_id)

    assert await fetch(items[2]["image"]["url"]) == PNG


async def test_its_link_is_renewed(attaching: Attaching, links_clock: Clock) -> None:
    application, turn, _ = await drawn(attaching, attachment_link_seconds="60")
    [picture] = turn.done("generated_image")
    links_clock.now += 121
    assert b"expired" in await fetch(picture["image"]["url"])

    items = await application.visitor.items(turn.thread_id)

    assert await fetch(items[2]["image"]["url"]) == PNG


async def test_it_is_deleted_with_its_thread(attaching: Attaching) -> None:
    application, turn, _ = await drawn(attaching)
    assert (await application.attachments.sweeper.sweep()) == 0

    await application.visitor.send("threads.delete", thread_id=turn.thread_id)

    assert await application.keys() == set()


async def test_it_cannot_be_attached_or_deleted(attaching: Attaching) -> None:
    application, turn, _ = await drawn(attaching)
    visitor = application.visitor
    [picture] = turn.done("generated_image")
    token = picture["image"]["url"].rpartition("/")[2]
    made = application.attachments.links.open(token).key.partition("/")[2]

    for response in (
        await send(visitor, made),
        await send(visitor, made, thread_id=turn.thread_id),
        await visitor.send("attachments.delete", attachment_id=made),
    ):
        assert (response.status_code, response.json()["error"]["code"]) == (422, "invalid_request")
    assert await fetch(picture["image"]["url"]) == PNG


async def test_nothing_is_stored_if_the_thread_was_deleted_meanwhile(
    attaching: Attaching,
) -> None:
    async with model_server() as (model, url):
        key = {"openai_api_key": SecretStr("key"), "openai_base_url": url}
        application = await attaching(**key, attachment_orphan_hours=str(0.1 / 3600))
        visitor = application.visitor

        async def delete(_exchange: Exchange) -> None:
            [thread] = (await visitor.send("threads.list")).json()["data"]
            await visitor.send("threads.delete", thread_id=thread["id"])

        model.does(draws(PNG, half=delete))
        await visitor.say("Draw a red dot", tool="image")

        async with asyncio.timeout(PATIENCE_SECONDS):
            while await application.keys():
                await application.attachments.sweeper.sweep()
                await asyncio.sleep(0.1)
        assert (await visitor.send("threads.list")).json()["data"] == []


async def test_a_picture_that_cannot_be_stored_is_reported(attaching: Attaching) -> None:
    application, turn, _ = await drawn(attaching, attachment_max_bytes="10")

    assert turn.error is not None
    assert turn.error["message"].startswith("The picture could not be kept. A file has at most")
    assert await application.keys() == set()


async def test_other_files_are_not_stored(attaching: Attaching) -> None:
    application, turn, _ = await drawn(attaching, result=b"<script>")

    assert turn.error is not None
    assert await application.keys() == set()


async def test_the_demo_model_says_that_it_needs_a_key(attaching: Attaching) -> None:
    application = await attaching()

    turn = await application.visitor.say("Draw a red dot", tool="image")

    assert "OPENAI_API_KEY" in turn.answer


async def test_it_is_not_offered_on_chat_completions(attaching: Attaching) -> None:
    application = await attaching(openai_api_key=SecretStr("key"), openai_api="chat_completions")

    config = (await application.visitor.client.get("/config.json")).json()

    assert "image" not in [tool["id"] for tool in config["tools"]]
