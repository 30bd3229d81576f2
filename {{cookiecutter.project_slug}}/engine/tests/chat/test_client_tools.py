"""Tools that run in the page: the turn ends with the call and goes on with its result."""

import asyncio
from contextlib import aclosing
from typing import Any

import pytest
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from agents.tool_context import ToolContext

from engine.runs import runs as runs_module
from engine.tests import application
from engine.tests.agent.echo import ECHO
from engine.tests.chat.test_interrupted import Watched, eventually
from engine.tests.fixtures import OneModel, Scripted
from engine.tests.talk import Visitor, is_text, until
from engine.tools.tool import AgentTool, agent_function
from engine.tools.turn_context import TurnContext
from engine.turn.history import UNANSWERED


@agent_function
async def pick(turn: ToolContext[TurnContext], colour: str) -> str:
    """Pick a colour in the page."""
    return turn.context.ask_page(turn, colour=colour)


PICK = AgentTool(
    id="pick",
    label="Pick",
    icon="sparkle",
    functions=(pick,),
    placeholder="",
    prompt="",
    titles={"pick": "Picking"},
    client_tools=("pick",),
)

PICKING = function_call("pick", {"colour": "red"}, call_id="call_pick")


@pytest.fixture(autouse=True)
def _pick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "TOOLS", (ECHO, PICK))


def shout(text: str) -> Any:
    return function_call("shout", {"text": text}, call_id=f"call_{text}")


def heard(model: ScriptedModel, turn: int) -> list[tuple[str, str]]:
    """The calls and results that the model is given, by their ids."""
    items = [item for item in model.calls[turn].input if "call_id" in item]
    return [(item["call_id"], item.get("output", item["type"])) for item in items]


async def answered(visitor: Visitor, thread_id: str, result: Any) -> Any:
    return await visitor.stream(
        "threads.add_client_tool_output", thread_id=thread_id, result=result
    )


async def test_a_call_is_stored_last_and_answered(with_model: Scripted) -> None:
    model = ScriptedModel([[shout("hi")], [PICKING], [assistant_message("Picked.")]])
    visitor = await with_model(model)

    turn = await visitor.say("go")
    assert turn.types[-1] == "thread.item.done"
    [call] = turn.done("client_tool_call")
    assert call["id"].startswith("tc_")
    assert call["arguments"] == {"colour": "red"}
    # Refused unless the call is the very last item of the thread, hidden ones included.
    assert (await visitor.items(turn.thread_id))[-1]["id"] == call["id"]

    going_on = await answered(visitor, turn.thread_id, {"ok": True})
    assert going_on.answer == "Picked."
    assert heard(model, 2) == [
        ("call_hi", "function_call"),
        ("call_hi", f"HI! ({visitor.user_id})"),
        ("call_pick", "function_call"),
        ("call_pick", '{"ok": true}'),
    ]


async def test_the_workflow_stays_open_until_the_answer(
    with_model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A checkpoint stores the workflow before the first call, whose hidden item then follows it.
    monkeypatch.setattr(runs_module, "CHECKPOINT_SECONDS", 0.01)
    model = ScriptedModel([[shout("hi")], [PICKING], [assistant_message("Picked.")]])
    visitor = await with_model(model)

    turn = await visitor.say("go")
    assert turn.done("workflow") == []
    assert turn.story[-2] == "workflow.task.added: Picking (loading)"

    going_on = await answered(visitor, turn.thread_id, {})
    assert "workflow.task.updated: Picking (complete)" in going_on.story
    [workflow] = going_on.done("workflow")
    [stored] = [i for i in await visitor.items(turn.thread_id) if i["type"] == "workflow"]
    assert stored["id"] == workflow["id"]
    assert stored["workflow"]["summary"]
    assert {task["status_indicator"] for task in stored["workflow"]["tasks"]} == {"complete"}


async def test_calls_beside_it_have_their_own_results(with_model: Scripted) -> None:
    another = function_call("pick", {"colour": "blue"}, call_id="call_blue")
    model = ScriptedModel([[PICKING, shout("hi"), another], [assistant_message("Picked.")]])
    visitor = await with_model(model)

    turn = await visitor.say("go")
    [call] = turn.done("client_tool_call")
    assert (call["call_id"], call["arguments"]) == ("call_pick", {"colour": "red"})
    await answered(visitor, turn.thread_id, "ok")

    assert heard(model, 1) == [
        ("call_hi", "function_call"),
        ("call_hi", f"HI! ({visitor.user_id})"),
        ("call_blue", "function_call"),
        (
            "call_blue",
            "The tool failed: the page can answer only one call at a time. Call it again later.",
        ),
        ("call_pick", "function_call"),
        ("call_pick", '"ok"'),
    ]


async def test_a_call_with_wrong_arguments_is_no_call(with_model: Scripted) -> None:
    wrong = function_call("pick", {"shape": "round"}, call_id="call_1")
    visitor = await with_model(ScriptedModel([[wrong], [assistant_message("Sorry.")]]))

    turn = await visitor.say("go")

    assert turn.done("client_tool_call") == []
    assert turn.answer == "Sorry."


async def test_a_page_that_never_answers_blocks_nothing(with_model: Scripted) -> None:
    model = ScriptedModel([[PICKING], [assistant_message("Never mind.")]])
    visitor = await with_model(model)
    turn = await visitor.say("go")

    second = await visitor.say("hello?", turn.thread_id)

    assert second.answer == "Never mind."
    replaced = [e["item"]["type"] for e in second.events if e["type"] == "thread.item.replaced"]
    assert replaced == ["workflow", "client_tool_call"]
    _, workflow, call, *_ = await visitor.items(turn.thread_id)
    assert workflow["workflow"]["summary"]
    assert (call["status"], call["output"]) == ("completed", UNANSWERED)
    [_, (call_id, output)] = heard(model, 1)
    assert call_id == "call_pick"
    assert "The page did not answer." in output

    # It comes too late now.
    late = await visitor.send(
        "threads.add_client_tool_output", thread_id=turn.thread_id, result="red"
    )
    assert late.status_code == 422


async def test_a_retry_asks_the_page_again(with_model: Scripted) -> None:
    model = ScriptedModel([[PICKING], [PICKING]])
    visitor = await with_model(model)
    turn = await visitor.say("go")

    await visitor.stream(
        "threads.retry_after_item", thread_id=turn.thread_id, item_id=turn.user_message_id
    )

    types = [item["type"] for item in await visitor.items(turn.thread_id)]
    assert types == ["user_message", "workflow", "client_tool_call"]
    assert heard(model, 1) == []


async def test_a_stop_after_the_page_has_answered_closes_the_workflow(
    with_model: Scripted,
) -> None:
    class Picking(Watched):
        """Asks the page first, and then talks slowly."""

        async def stream_response(self, *args: Any, **kwargs: Any) -> Any:
            asks = not any("call_id" in item for item in kwargs.get("input") or args[1])
            if asks:
                scripted = ScriptedModel([[PICKING]])
                async for event in scripted.stream_response(*args, **kwargs):
                    yield event
            else:
                await asyncio.sleep(600)

    visitor = await with_model(Picking())
    turn = await visitor.say("go")
    params = {"thread_id": turn.thread_id, "result": {}}
    async with aclosing(visitor.listen("threads.add_client_tool_output", **params)) as events:
        async for event in events:
            if event["type"] == "stream_options":
                break

    async def is_closed() -> bool:
        workflow = await eventually(visitor, turn.thread_id, "workflow")
        return "summary" in workflow["workflow"]

    await until(is_closed)


async def test_going_on_keeps_the_model_that_was_picked(
    with_model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ScriptedModel([[PICKING], [assistant_message("Picked.")]])
    visitor = await with_model(model, models=("a", "b"))
    asked: list[str] = []

    def get(_source: OneModel, name: str) -> ScriptedModel:
        asked.append(name)
        return model

    monkeypatch.setattr(OneModel, "get", get)

    turn = await visitor.say("go", model="b", tool="pick")
    going_on = await answered(visitor, turn.thread_id, {})

    assert asked == ["b", "b"]
    assert any(map(is_text, going_on.events))


async def test_a_result_is_no_longer_than_a_message(with_model: Scripted) -> None:
    visitor = await with_model(ScriptedModel([[PICKING]]), message_chars=100)
    turn = await visitor.say("go")

    refused = await visitor.send(
        "threads.add_client_tool_output", thread_id=turn.thread_id, result="x" * 99
    )

    assert refused.status_code == 413
    assert (await visitor.items(turn.thread_id))[-1]["status"] == "pending"


async def test_a_failure_after_the_page_has_answered_closes_the_workflow(
    with_model: Scripted,
) -> None:
    failure = ModelStep.raise_error(RuntimeError("boom"))
    visitor = await with_model(ScriptedModel([[PICKING], failure]))
    turn = await visitor.say("go")

    going_on = await answered(visitor, turn.thread_id, {})

    assert going_on.error is not None
    [workflow] = going_on.done("workflow")
    assert workflow["workflow"]["summary"]
