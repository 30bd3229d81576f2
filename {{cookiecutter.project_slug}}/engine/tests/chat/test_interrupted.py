"""Answers that do not reach their end: stopped, failed, retried."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from typing import Any

import httpx2
import openai
import pytest
from agents.testing import ModelStep, ScriptedModel, assistant_message

from engine.demo.model import DemoModel
from engine.tests import application
from engine.tests.fixtures import Scripted, demo_model
from engine.tests.talk import PATIENCE_SECONDS, Visitor, is_text, message, until


class Watched(DemoModel):
    """The demo model, which tells what it was asked, and whether it was stopped in mid-answer.

    It pauses before an answer and after each word, and says no more than some words, until it is
    told to hurry: however slow a machine is, an answer does not end before its test is ready.
    """

    WORDS = 14  # less than an answer has, and more than any test waits for

    def __init__(self) -> None:
        super().__init__(0, application.TOOLS)
        self.pause_seconds = 0.05  # of the answers that are yet to begin
        self.heard: list[Any] = []
        self.stopped = asyncio.Event()
        self.begun = asyncio.Event()  # has said its first words
        self._hurried = asyncio.Event()

    def hurry(self) -> None:
        """End all pauses, also that of the answer that is being given."""
        self._hurried.set()

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        self.heard.append(args[1] if len(args) > 1 else kwargs["input"])
        seconds, said, finished = self.pause_seconds, 0, False
        try:
            await self._pause(seconds)
            async for event in super().stream_response(*args, **kwargs):
                yield event
                if event.type == "response.output_text.delta":
                    said += 1
                    if said == 3:
                        self.begun.set()
                    await self._pause(None if seconds and said >= self.WORDS else seconds)
            finished = True
        finally:
            if not finished:
                self.stopped.set()

    async def _pause(self, seconds: float | None) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._hurried.wait(), seconds)


async def leave_after(visitor: Visitor, words: int, type_: str, **params: Any) -> tuple[str, str]:
    """Close the connection once that many words have come; the thread and what was heard."""
    thread_id, heard = params.get("thread_id", ""), ""
    async with aclosing(visitor.listen(type_, **params)) as events:
        async for event in events:
            if event["type"] == "thread.created":
                thread_id = event["thread"]["id"]
            if is_text(event):
                heard += event["update"]["delta"]
                words -= 1
            if words <= 0 and (heard or event["type"] == "thread.item.added"):
                break
    return thread_id, heard


async def eventually(visitor: Visitor, thread_id: str, item_type: str) -> dict[str, Any]:
    """The last item of that type, once nothing runs in the thread that could change it."""

    async def is_over() -> bool:
        running = await visitor.client.get(f"/chatkit/threads/{thread_id}/run")
        return running.json()["run"] is None

    await until(is_over)
    return [i for i in await visitor.items(thread_id) if i["type"] == item_type][-1]


async def test_stop_keeps_what_was_said_and_shown(with_model: Scripted) -> None:
    visitor = await with_model(Watched())
    thread_id, heard = await leave_after(visitor, 3, "threads.create", input=message("hello"))

    answer = await eventually(visitor, thread_id, "assistant_message")
    assert answer["content"][0]["text"].startswith(heard)
    assert "does not think" not in answer["content"][0]["text"]
    workflow = await eventually(visitor, thread_id, "workflow")
    assert workflow["workflow"]["expanded"] is False


async def test_stop_before_the_answer_keeps_the_workflow(with_model: Scripted) -> None:
    model = Watched()
    model.pause_seconds = 600
    visitor = await with_model(model)
    thread_id, _ = await leave_after(visitor, 0, "threads.create", input=message("hello"))

    workflow = await eventually(visitor, thread_id, "workflow")
    assert [t["status_indicator"] for t in workflow["workflow"]["tasks"]] == ["complete"]


async def test_stop_stops_the_model(with_model: Scripted) -> None:
    model = Watched()
    visitor = await with_model(model)
    await leave_after(visitor, 2, "threads.create", input=message("hello"))

    await asyncio.wait_for(model.stopped.wait(), PATIENCE_SECONDS)


async def test_a_failure_in_mid_answer_keeps_the_text_and_offers_a_retry(
    with_model: Scripted,
) -> None:
    visitor = await with_model(demo_model(0.02))
    turn = await visitor.say("one two three [demo:break]")

    assert turn.types[-1] == "error"
    assert turn.error is not None
    assert turn.error["allow_retry"] is True
    assert "DemoFailure" not in str(turn.error)
    stored = [item["type"] for item in await visitor.items(turn.thread_id)]
    assert stored == ["user_message", "workflow", "assistant_message"]
    assert turn.answer.startswith("You said:")


async def test_a_failure_before_the_answer_closes_the_workflow(visitor: Visitor) -> None:
    turn = await visitor.say("[demo:fail]")

    assert turn.story[-2:] == ["workflow done", "error"]
    stored = [item["type"] for item in await visitor.items(turn.thread_id)]
    assert stored == ["user_message", "workflow"]


@pytest.mark.parametrize(
    ("error", "words", "allow_retry"),
    [
        (openai.APITimeoutError, "too long", True),
        (openai.APIConnectionError, "cannot be reached", True),
    ],
)
async def test_an_error_of_the_model_is_told_in_plain_words(
    with_model: Scripted, error: type[openai.APIConnectionError], words: str, allow_retry: bool
) -> None:
    request: Any = httpx2.Request("POST", "http://model.test")
    step = ModelStep.raise_error(error(request=request))
    visitor = await with_model(ScriptedModel([step]))

    turn = await visitor.say("hello")

    assert turn.error is not None
    assert words in turn.error["message"]
    assert turn.error["allow_retry"] is allow_retry


async def test_retry_replaces_the_old_answer(with_model: Scripted) -> None:
    model = ScriptedModel([[assistant_message("First.")], [assistant_message("Second.")]])
    visitor = await with_model(model)
    turn = await visitor.say("hello")

    retried = await visitor.stream(
        "threads.retry_after_item", thread_id=turn.thread_id, item_id=turn.user_message_id
    )

    assert retried.answer == "Second."
    items = await visitor.items(turn.thread_id)
    assert [i["type"] for i in items] == ["user_message", "workflow", "assistant_message"]
    assert items[2]["content"][0]["text"] == "Second."
    assert len(model.calls[1].input) == 1  # the old answer is not part of the question


async def test_a_retry_that_fails_leaves_the_old_answer(with_model: Scripted) -> None:
    failure = ModelStep.raise_error(RuntimeError("boom"))
    visitor = await with_model(ScriptedModel([[assistant_message("First.")], failure]))
    turn = await visitor.say("hello")

    retried = await visitor.stream(
        "threads.retry_after_item", thread_id=turn.thread_id, item_id=turn.user_message_id
    )

    assert retried.error is not None
    items = await visitor.items(turn.thread_id)
    assert [i["type"] for i in items] == ["user_message", "workflow", "assistant_message"]
    assert items[2]["content"][0]["text"] == "First."


async def test_a_retry_stopped_before_it_began_leaves_the_old_answer(
    with_model: Scripted,
) -> None:
    model = Watched()
    visitor = await with_model(model)
    model.pause_seconds = 0
    turn = await visitor.say("hello")
    model.pause_seconds = 600
    await leave_after(
        visitor,
        0,
        "threads.retry_after_item",
        thread_id=turn.thread_id,
        item_id=turn.user_message_id,
    )
    await asyncio.wait_for(model.stopped.wait(), PATIENCE_SECONDS)
    await eventually(visitor, turn.thread_id, "user_message")

    items = await visitor.items(turn.thread_id)
    assert [i["type"] for i in items] == ["user_message", "workflow", "assistant_message"]


async def test_the_next_turn_knows_that_it_was_stopped(with_model: Scripted) -> None:
    model = Watched()
    visitor = await with_model(model)
    thread_id, _ = await leave_after(visitor, 3, "threads.create", input=message("hello"))
    await eventually(visitor, thread_id, "assistant_message")
    model.hurry()
    await visitor.say("and now?", thread_id)

    assert "cancelled the stream" in str(model.heard[1])


async def test_a_retry_touches_no_other_thread(with_model: Scripted) -> None:
    visitor = await with_model(demo_model())
    turn = await visitor.say("one")
    other = await visitor.say("in between")
    await visitor.say("two", turn.thread_id)
    before = await visitor.items(other.thread_id)

    await visitor.stream(
        "threads.retry_after_item", thread_id=turn.thread_id, item_id=turn.user_message_id
    )

    assert await visitor.items(other.thread_id) == before
    assert len(await visitor.items(turn.thread_id)) == 3
