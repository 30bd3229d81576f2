"""An application without attachments, and without dictation, says so to whoever sends some."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.fixtures import serving, visiting
from engine.tests.talk import German, Visitor, message

NO_ATTACHMENTS = "This application takes no attachments."
NO_DICTATION = "This application takes no dictation."


@pytest_asyncio.fixture
async def visitor(settings: Settings) -> AsyncIterator[Visitor]:
    app = create_app(settings, attachments=None, dictation=None)
    async with serving(app) as url, visiting(url, settings) as visitor:
        yield visitor


@pytest.mark.parametrize(
    ("type_", "params", "refusal"),
    [
        ("threads.create", {"input": message("hi") | {"attachments": ["atc_1"]}}, NO_ATTACHMENTS),
        (
            "attachments.create",
            {"name": "a", "size": 1, "mime_type": "text/plain"},
            NO_ATTACHMENTS,
        ),
        ("attachments.delete", {"attachment_id": "atc_1"}, NO_ATTACHMENTS),
        ("input.transcribe", {"audio_base64": "AA==", "mime_type": "audio/webm"}, NO_DICTATION),
    ],
)
async def test_it_is_refused(
    visitor: Visitor, type_: str, params: dict[str, Any], refusal: str
) -> None:
    response = await visitor.send(type_, **params)

    assert response.status_code == 422
    assert response.json()["error"]["message"] == refusal
    assert (await visitor.send("threads.list")).json()["data"] == []


async def test_the_refusal_is_in_the_users_language(visitor: Visitor, german: German) -> None:
    german({NO_ATTACHMENTS: "Keine Anhänge.", NO_DICTATION: "Kein Diktat."})
    visitor.client.headers["Accept-Language"] = "de"

    attached = await visitor.send("attachments.delete", attachment_id="atc_1")
    dictated = await visitor.send("input.transcribe", audio_base64="AA==", mime_type="audio/webm")

    assert attached.json()["error"]["message"] == "Keine Anhänge."
    assert dictated.json()["error"]["message"] == "Kein Diktat."


async def test_the_page_offers_neither(visitor: Visitor) -> None:
    response = await visitor.client.get("/config.json")
    extras = response.json()["extras"]

    assert "api" not in extras
    assert extras.get("composer", {}) == {}
    assert "microphone=()" in response.headers["permissions-policy"]


async def test_a_conversation_works_and_goes(visitor: Visitor) -> None:
    turn = await visitor.say("Hello there")
    assert "Hello there" in turn.answer
    assert await visitor.items(turn.thread_id)
    await visitor.say("and again", turn.thread_id)
    deleted = await visitor.send("threads.delete", thread_id=turn.thread_id)
    assert deleted.status_code == 200
