"""The stream itself: ids, headers, silence."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from agents.models.fake_id import FAKE_RESPONSES_ID
from agents.testing import ScriptedModel, assistant_message, function_call
from starlette.types import Message

from engine.demo.model import DemoModel
from engine.http.event_stream import EventStream
from engine.tests.fixtures import Scripted, demo_model
from engine.tests.talk import PATIENCE_SECONDS, Visitor, message


def faked(text: str) -> Any:
    return assistant_message(text).model_copy(update={"id": FAKE_RESPONSES_ID})


async def test_every_answer_has_an_id_of_its_own_whatever_the_provider_says(
    with_model: Scripted,
) -> None:
    call = function_call("shout", {"text": "x"}, call_id="1")
    visitor = await with_model(
        ScriptedModel([[faked("One."), call], [faked("Two.")], [faked("Three.")]])
    )
    turn = await visitor.say("go")
    later = await visitor.say("again", turn.thread_id)

    answers = [i for i in await visitor.items(turn.thread_id) if i["type"] == "assistant_message"]
    assert [a["content"][0]["text"] for a in answers] == ["One.", "Two.", "Three."]
    assert len({a["id"] for a in answers}) == 3
    assert FAKE_RESPONSES_ID not in str(turn.events + later.events)
    for events in (turn.events, later.events):
        added = {e["item"]["id"] for e in events if e["type"] == "thread.item.added"}
        assert {e["item_id"] for e in events if e["type"] == "thread.item.updated"} <= added


async def test_proxies_are_told_not_to_buffer(visitor: Visitor) -> None:
    body = {"type": "threads.create", "params": {"input": message("hello")}}
    async with visitor.client.stream("POST", "/chatkit", json=body) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"


async def test_a_silence_is_filled_with_comments_and_loses_nothing(with_model: Scripted) -> None:
    enough = asyncio.Event()

    class Thinking(DemoModel):
        async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            await asyncio.wait_for(enough.wait(), PATIENCE_SECONDS)
            async for event in super().stream_response(*args, **kwargs):
                yield event

    visitor = await with_model(Thinking(0), keep_alive_seconds=0.05)

    body = {"type": "threads.create", "params": {"input": message("hi")}}
    async with visitor.client.stream("POST", "/chatkit", json=body) as response:
        text = ""
        async for part in response.aiter_text():
            text += part
            if text.count(": keep-alive\n") > 3:
                enough.set()

    # Readers that take a blank line for the end of an event meet none that has no data.
    assert ": keep-alive\n\n" not in text
    assert '"type":"assistant_message"' in text
    assert "You said: “hi”" in text


async def test_a_database_that_fails_in_the_stream_ends_it_with_an_error_event(
    with_model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.store.store import SqlStore

    async def refuse(*_args: Any) -> None:
        raise ConnectionRefusedError("password=secret")

    visitor = await with_model(demo_model())
    monkeypatch.setattr(SqlStore, "save_thread", refuse)

    turn = await visitor.stream("threads.create", input=message("hi"))

    assert turn.error is not None
    assert turn.error["allow_retry"] is True
    assert "secret" not in str(turn.events)


async def test_a_reader_who_leaves_while_we_write_has_gone() -> None:
    gone = asyncio.Event()

    class OneChunk:
        async def next(self, _timeout_seconds: float) -> bytes:
            return b"data: 1\n\n"

        def close(self) -> None:
            gone.set()

    writing = asyncio.Event()

    async def receive() -> Message:
        await writing.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            writing.set()
            await asyncio.sleep(60)  # a reader that takes nothing

    await EventStream(OneChunk(), 15, {})({"type": "http"}, receive, send)

    assert gone.is_set()
