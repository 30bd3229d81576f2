"""Widgets that tools show: their place, and what becomes of them when the answer does not end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest
from agents import RunContextWrapper
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from chatkit.widgets import DynamicWidgetRoot, WidgetRoot
from sqlalchemy import text, update

from engine.database.database import Database
from engine.database.rows import RunRow
from engine.runs.recovery import RETRY, Recovery
from engine.runs.run_store import RunStore
from engine.settings.settings import Settings
from engine.tests import application
from engine.tests.agent.echo import ECHO
from engine.tests.chat.test_interrupted import eventually
from engine.tests.fixtures import Scripted
from engine.tests.talk import Visitor, message
from engine.tools.tool import AgentTool, agent_function
from engine.tools.turn_context import TurnContext


def card(words: str) -> WidgetRoot:
    texts = [{"type": "Text", "value": words}]
    return DynamicWidgetRoot.model_validate({"type": "Card", "children": texts})


@agent_function
async def pin(turn: RunContextWrapper[TurnContext], words: str) -> str:
    """Pin a card."""
    turn.context.show(card(words), f"A card: {words}")
    return "Pinned."


@agent_function
async def unroll(turn: RunContextWrapper[TurnContext]) -> str:
    """Show a card that is never finished."""

    async def states() -> AsyncGenerator[WidgetRoot, None]:
        yield card("unfinished")
        await asyncio.sleep(60)

    await turn.context.stream_widget(states(), "A card: unfinished")
    return "Unrolled."


BOARD = AgentTool(
    id="board",
    label="Board",
    icon="sparkle",
    functions=(pin, unroll),
    placeholder="",
    prompt="",
    titles={"pin": "Pinning"},
)

PIN = function_call("pin", {"words": "milk"}, call_id="call_pin")


@pytest.fixture(autouse=True)
def _board(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "TOOLS", (ECHO, BOARD))


async def types(visitor: Visitor, thread_id: str) -> list[str]:
    return [item["type"] for item in await visitor.items(thread_id)]


async def test_a_widget_comes_when_no_task_is_under_way(with_model: Scripted) -> None:
    others = [function_call("shout", {"text": t}, call_id=f"call_{t}") for t in ("a", "b")]
    model = ScriptedModel([[others[0], PIN, others[1]], [assistant_message("Done.")]])
    visitor = await with_model(model)

    turn = await visitor.say("go")

    shown = turn.story.index("widget done")
    assert turn.story[shown - 2 : shown + 2] == [
        "workflow.task.updated: Shouting (complete)",
        "workflow done",
        "widget done",
        "assistant_message added",
    ]
    [workflow] = [i for i in await visitor.items(turn.thread_id) if i["type"] == "workflow"]
    assert {task["status_indicator"] for task in workflow["workflow"]["tasks"]} == {"complete"}
    assert len(workflow["workflow"]["tasks"]) == 4


async def test_work_after_a_widget_opens_another_workflow(with_model: Scripted) -> None:
    shout = function_call("shout", {"text": "a"}, call_id="call_a")
    visitor = await with_model(ScriptedModel([[PIN], [shout], [assistant_message("Done.")]]))

    turn = await visitor.say("go")

    assert await types(visitor, turn.thread_id) == [
        "user_message",
        "workflow",
        "widget",
        "workflow",
        "assistant_message",
    ]


async def test_the_widget_of_an_answer_that_failed_stays(with_model: Scripted) -> None:
    visitor = await with_model(ScriptedModel([[PIN], ModelStep.raise_error(RuntimeError("boom"))]))

    turn = await visitor.say("go")

    assert turn.error is not None
    assert await types(visitor, turn.thread_id) == ["user_message", "workflow", "widget"]


async def test_a_widget_that_was_stopped_unfinished_stays_as_it_was(with_model: Scripted) -> None:
    visitor = await with_model(ScriptedModel([[function_call("unroll", {}, call_id="call_1")]]))
    async with aclosing(visitor.listen("threads.create", input=message("go"))) as events:
        async for event in events:
            if event["type"] == "thread.created":
                thread_id = event["thread"]["id"]
            if event["type"] == "thread.item.added" and event["item"]["type"] == "widget":
                break

    stored = await eventually(visitor, thread_id, "widget")
    assert stored["widget"]["children"][0]["value"] == "unfinished"
    workflow = await eventually(visitor, thread_id, "workflow")
    assert {t["status_indicator"] for t in workflow["workflow"]["tasks"]} == {"complete"}


async def retried_with_a_widget_alone(with_model: Scripted) -> tuple[Visitor, str]:
    """A thread whose answer a retry replaced by a widget, before it failed."""
    failure = ModelStep.raise_error(RuntimeError("boom"))
    visitor = await with_model(ScriptedModel([[assistant_message("Old.")], [PIN], failure]))
    turn = await visitor.say("go")
    retried = await visitor.stream(
        "threads.retry_after_item", thread_id=turn.thread_id, item_id=turn.user_message_id
    )
    assert retried.error is not None
    return visitor, turn.thread_id


async def test_a_widget_takes_the_place_of_the_answer_that_is_tried_again(
    with_model: Scripted,
) -> None:
    visitor, thread_id = await retried_with_a_widget_alone(with_model)

    assert await types(visitor, thread_id) == ["user_message", "workflow", "widget"]


async def test_it_does_so_too_when_its_worker_dies(
    with_model: Scripted, settings: Settings, database: Database
) -> None:
    visitor, thread_id = await retried_with_a_widget_alone(with_model)
    died: dict[str, Any] = {
        "status": "running",
        "heartbeat_at": text("now() - interval '1 hour'"),
        "ended_at": None,
    }
    retry = (RunRow.user_id == visitor.user_id, RunRow.request == RETRY)
    await database.write(visitor.user_id, update(RunRow).where(*retry).values(died))

    recovery = Recovery(database, RunStore(settings, database, "other"), lambda *_: False)
    await recovery.close_abandoned()

    assert await types(visitor, thread_id) == ["user_message", "workflow", "widget", "task"]
