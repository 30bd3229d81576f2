"""Items that an answer that failed keeps, and items that it does not keep."""

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest
from agents import Agent, GuardrailFunctionOutput, input_guardrail
from agents.testing import ScriptedModel, assistant_message, function_call

from engine.demo.model import DemoModel
from engine.tests import application
from engine.tests.application import build_agent
from engine.tests.chat.test_interrupted import Watched, leave_after
from engine.tests.fixtures import Scripted
from engine.tests.talk import PATIENCE_SECONDS, message
from engine.tools.turn_context import TurnContext


class FailsBeforeItsFirstWord(DemoModel):
    """Opens its second answer and says nothing in it."""

    def __init__(self) -> None:
        super().__init__(0)
        self.turns = 0

    async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        self.turns += 1
        async for event in super().stream_response(*args, **kwargs):
            if self.turns == 2 and event.type == "response.output_text.delta":
                await asyncio.sleep(0.2)
                raise RuntimeError("boom")
            yield event


async def test_a_retry_that_fails_before_its_first_word_leaves_the_old_answer(
    with_model: Scripted,
) -> None:
    visitor = await with_model(FailsBeforeItsFirstWord())
    turn = await visitor.say("hello")
    before = await visitor.items(turn.thread_id)

    await visitor.stream(
        "threads.retry_after_item", thread_id=turn.thread_id, item_id=turn.user_message_id
    )

    assert await visitor.items(turn.thread_id) == before


async def test_what_a_guardrail_took_back_is_not_stored(
    with_model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    @input_guardrail
    async def refuse(*_args: Any) -> GuardrailFunctionOutput:
        await model.begun.wait()
        await asyncio.sleep(0.3)
        model.hurry()
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)

    def guarded(turn: TurnContext) -> Agent[TurnContext]:
        return build_agent(turn).clone(input_guardrails=[refuse])

    monkeypatch.setattr(application, "build_agent", guarded)
    model = Watched()
    visitor = await with_model(model)

    turn = await visitor.say("hello")

    assert "thread.item.removed" in turn.types
    stored = [item["type"] for item in await visitor.items(turn.thread_id)]
    assert "assistant_message" not in stored


async def test_a_tripped_guardrail_does_not_wait_for_the_model(
    with_model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    has_begun, ended = asyncio.Event(), asyncio.Event()

    class Endless(DemoModel):
        async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            try:
                async for event in super().stream_response(*args, **kwargs):
                    yield event
                    if event.type == "response.output_text.delta":
                        has_begun.set()
                        await asyncio.Event().wait()
            finally:
                ended.set()

    @input_guardrail
    async def refuse(*_args: Any) -> GuardrailFunctionOutput:
        await has_begun.wait()
        return GuardrailFunctionOutput(output_info=None, tripwire_triggered=True)

    monkeypatch.setattr(
        application, "build_agent", lambda turn: build_agent(turn).clone(input_guardrails=[refuse])
    )
    visitor = await with_model(Endless(0))

    turn = await asyncio.wait_for(visitor.say("hello"), PATIENCE_SECONDS)

    assert turn.types[-1] == "error"
    assert ended.is_set()
    stored = [item["type"] for item in await visitor.items(turn.thread_id)]
    assert "assistant_message" not in stored


async def test_a_call_that_had_ended_is_remembered_after_a_stop(with_model: Scripted) -> None:
    model = Watched()
    visitor = await with_model(model)
    thread_id = ""
    async with aclosing(visitor.listen("threads.create", input=message("shout hi"))) as events:
        async for event in events:
            if event["type"] == "thread.created":
                thread_id = event["thread"]["id"]
            task = event.get("update", {}).get("task", {})
            if (task.get("title"), task.get("status_indicator")) == ("Shouting", "complete"):
                model.pause_seconds = 600
                break
    model.pause_seconds = 0
    await visitor.say("next", thread_id)

    assert "HI!" in str(model.heard[-1])


async def test_a_stop_leaves_no_task_behind(with_model: Scripted) -> None:
    complaints: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: complaints.append(context["message"]))
    visitor = await with_model(Watched())

    for words in (0, 2):
        await leave_after(visitor, words, "threads.create", input=message("hello"))
    await visitor.say("one two three [demo:break]")
    await asyncio.sleep(0.5)
    gc.collect()
    await asyncio.sleep(0)
    loop.set_exception_handler(None)

    assert complaints == []


async def test_parallel_calls_after_an_answer_each_load_until_they_are_done(
    with_model: Scripted,
) -> None:
    calls = [function_call("shout", {"text": t}, call_id=t) for t in ("a", "b")]
    visitor = await with_model(
        ScriptedModel([[assistant_message("Wait."), *calls], [assistant_message("Done.")]])
    )

    turn = await visitor.say("go")

    shouts = [line for line in turn.story if "Shouting" in line]
    assert shouts[0] == "workflow.task.added: Shouting (loading)"
