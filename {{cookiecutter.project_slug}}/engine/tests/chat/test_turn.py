"""A whole turn, as the page sees it."""

from time import monotonic

import pytest
from agents.testing import ScriptedModel, assistant_message, function_call

from engine.tests import application
from engine.tests.agent.echo import ECHO, shout
from engine.tests.agent.planner import PLANNER
from engine.tests.fixtures import Scripted
from engine.tests.talk import Visitor


async def test_a_turn_without_tools_streams_in_order(visitor: Visitor) -> None:
    turn = await visitor.say("Hello there")

    assert turn.story == [
        "thread.created",
        "user_message done",
        "stream_options",
        "workflow added",
        "thread.updated",
        "workflow.task.updated: Analyzing request (complete)",
        "workflow done",
        "assistant_message added",
        "assistant_message.content_part.added",
        "assistant_message.content_part.text_delta",
        "assistant_message.content_part.done",
        "assistant_message done",
    ]
    assert "Hello there" in turn.answer


async def test_a_tool_call_is_a_task_that_loads_and_completes(visitor: Visitor) -> None:
    for _ in range(5):  # the order must not depend on who is faster
        turn = await visitor.say("shout hello")

        assert turn.story[3:9] == [
            "workflow added",
            "thread.updated",
            "workflow.task.updated: Analyzing request (complete)",
            "workflow.task.added: Shouting (loading)",
            "workflow.task.updated: Shouting (complete)",
            "workflow done",
        ]
        assert turn.story[9] == "assistant_message added"
        assert turn.answer == f"HELLO! ({visitor.user_id})"


async def test_a_finished_workflow_is_stored_collapsed_with_its_duration(visitor: Visitor) -> None:
    begun = monotonic()
    turn = await visitor.say("shout hello")
    seconds = monotonic() - begun

    [workflow] = [i for i in await visitor.items(turn.thread_id) if i["type"] == "workflow"]
    assert workflow["workflow"]["expanded"] is False
    assert workflow["workflow"]["summary"].keys() == {"duration"}
    assert 0 <= workflow["workflow"]["summary"]["duration"] <= seconds
    tasks = workflow["workflow"]["tasks"]
    assert [(t["title"], t["icon"], t["status_indicator"]) for t in tasks] == [
        ("Analyzing request", "search", "complete"),
        ("Shouting", "sparkle", "complete"),
    ]


async def test_items_come_back_in_the_order_they_were_said(visitor: Visitor) -> None:
    turn = await visitor.say("shout one")
    await visitor.say("two", turn.thread_id)

    types = [item["type"] for item in await visitor.items(turn.thread_id)]
    assert types == ["user_message", "workflow", "assistant_message"] * 2


async def test_a_tool_that_fails_costs_its_result_and_not_the_turn(visitor: Visitor) -> None:
    turn = await visitor.say("shout boom")

    assert turn.error is None
    assert turn.answer.startswith("The tool failed: RuntimeError.")
    assert "a secret detail" not in str(turn.events)
    [workflow] = turn.done("workflow")
    task = workflow["workflow"]["tasks"][1]
    assert (task["icon"], task["content"], task["status_indicator"]) == (
        "info",
        "This did not work.",
        "complete",
    )


async def test_a_tool_that_hangs_is_given_up(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shout, "timeout_seconds", 0.05)

    turn = await visitor.say("shout doze")

    assert turn.answer.startswith("The tool failed: it took too long.")
    [workflow] = turn.done("workflow")
    assert workflow["workflow"]["tasks"][1]["content"] == "This did not work."


async def test_work_after_an_answer_has_begun_opens_another_workflow(with_model: Scripted) -> None:
    model = ScriptedModel(
        [
            [assistant_message("Let me see."), function_call("shout", {"text": "x"}, call_id="1")],
            [assistant_message("Done.")],
        ]
    )
    visitor = await with_model(model)

    turn = await visitor.say("go")

    items = [line for line in turn.story if line.split()[-1] in {"added", "done"}]
    assert items == [
        "user_message done",
        "workflow added",
        "workflow done",
        "assistant_message added",
        "assistant_message done",
        "workflow added",
        "workflow done",
        "assistant_message added",
        "assistant_message done",
    ]
    stored = [item["type"] for item in await visitor.items(turn.thread_id)]
    assert stored == ["user_message", *["workflow", "assistant_message"] * 2]


async def test_the_composer_can_force_a_tool(visitor: Visitor) -> None:
    turn = await visitor.say("whatever", tool="echo")

    assert turn.answer == f"DEFAULT! ({visitor.user_id})"


async def test_a_tool_prefix_forces_a_tool_and_is_never_stored(visitor: Visitor) -> None:
    turn = await visitor.say("[TOOL:echo] whatever")

    assert turn.answer == f"DEFAULT! ({visitor.user_id})"
    [stored] = [i for i in await visitor.items(turn.thread_id) if i["type"] == "user_message"]
    assert stored["content"] == [{"type": "input_text", "text": "whatever"}]
    thread = (await visitor.send("threads.get_by_id", thread_id=turn.thread_id)).json()
    assert thread["title"] == "whatever"


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ("Short", "Short"),
        ("x" * 50, "x" * 50),
        ("x" * 51, "x" * 47 + "..."),
        ("two\n  lines", "two lines"),
    ],
)
async def test_the_title_is_the_first_message(visitor: Visitor, text: str, title: str) -> None:
    turn = await visitor.say(text)
    await visitor.say("something else", turn.thread_id)

    [thread] = (await visitor.send("threads.list")).json()["data"]
    assert thread["title"] == title


async def test_images_from_anywhere_are_not_shown(visitor: Visitor) -> None:
    turn = await visitor.say("hello")

    thread = (await visitor.send("threads.get_by_id", thread_id=turn.thread_id)).json()
    assert thread["allowed_image_domains"] == []


async def test_nul_is_dropped_before_anything_is_stored(visitor: Visitor) -> None:
    turn = await visitor.say("a\x00b")

    assert turn.error is None
    assert turn.done("user_message")[0]["content"][0]["text"] == "ab"


async def test_a_tool_prefix_keeps_the_picked_model(with_model: Scripted) -> None:
    visitor = await with_model(
        ScriptedModel([[assistant_message("ok")]]), models=("small", "large")
    )

    turn = await visitor.say("[TOOL:echo] hi", model="large")

    options = turn.done("user_message")[0]["inference_options"]
    assert options == {"tool_choice": {"id": "echo"}, "model": "large"}


async def test_a_workflow_that_a_tool_opened_keeps_its_own_tasks(
    with_model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "TOOLS", (ECHO, PLANNER))
    plan = function_call("plan", {}, call_id="1")
    call = function_call("shout", {"text": "x"}, call_id="2")
    visitor = await with_model(ScriptedModel([[plan], [call], [assistant_message("Done.")]]))

    turn = await visitor.say("go")

    assert turn.error is None
    assert turn.answer == "Done."
    ended = {item["id"]: item for item in turn.done("workflow")}
    tasks = [item["workflow"]["tasks"] for item in ended.values()]
    assert [[task["title"] for task in of_one] for of_one in tasks] == [
        ["Analyzing request", "Using Planner"],
        ["Own step", "Shouting"],
    ]
    assert {task["status_indicator"] for of_one in tasks for task in of_one} == {"complete"}
