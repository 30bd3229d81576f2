"""Actions of widgets: admitted, carried out once they have begun, and stored."""

import asyncio
from typing import Any

import pytest
from agents import RunContextWrapper
from agents.testing import ScriptedModel, assistant_message, function_call
from chatkit.widgets import DynamicWidgetRoot, WidgetRoot
from sqlalchemy import select

from engine.database.database import Database
from engine.database.rows import RunRow
from engine.tests import application
from engine.tests.agent.echo import ECHO
from engine.tests.fixtures import Scripted
from engine.tests.talk import PATIENCE_SECONDS, Visitor, until
from engine.tools.actions import Shown, WidgetAction
from engine.tools.services import ToolRefusal
from engine.tools.tool import AgentTool, agent_function
from engine.tools.turn_context import TurnContext

STREAMING, WAITING = "threads.custom_action", "threads.sync_custom_action"
BOTH = pytest.mark.parametrize("kind", [STREAMING, WAITING])


def board(words: str) -> WidgetRoot:
    texts = [{"type": "Text", "value": words}]
    return DynamicWidgetRoot.model_validate({"type": "Card", "children": texts})


@agent_function
async def pin(turn: RunContextWrapper[TurnContext]) -> str:
    """Pin a card."""
    turn.context.show(board("blank"), "A blank card")
    return "Pinned."


begun, goes_on = asyncio.Event(), asyncio.Event()


async def write(press: WidgetAction) -> Shown:
    words = press.payload
    if words == "no":
        raise ToolRefusal("Not on this card.")
    if words == "boom":
        raise RuntimeError("a secret detail")
    if words == "slow":
        begun.set()
        await goes_on.wait()
    return Shown(board(f"{words} by {press.user_id}"), f"A card: {words}")


BOARD = AgentTool(
    id="board",
    label="Board",
    icon="sparkle",
    functions=(pin,),
    placeholder="",
    prompt="",
    actions={"board.write": write},
)


@pytest.fixture(autouse=True)
def _board(monkeypatch: pytest.MonkeyPatch) -> None:
    begun.clear()
    goes_on.clear()
    monkeypatch.setattr(application, "TOOLS", (ECHO, BOARD))


async def pinned(with_model: Scripted) -> tuple[Visitor, ScriptedModel, dict[str, Any]]:
    """A card in a thread, and the parameters of an action that comes from it."""
    steps = [[function_call("pin", {}, call_id="call_1")], [assistant_message("There.")]]
    model = ScriptedModel([*steps, [assistant_message("I see.")]])
    visitor = await with_model(model)
    turn = await visitor.say("go")
    [card] = turn.done("widget")
    return visitor, model, {"thread_id": turn.thread_id, "item_id": card["id"]}


def writing(words: str) -> dict[str, Any]:
    return {"type": "board.write", "payload": words}


async def stored(visitor: Visitor, thread_id: str) -> str:
    [card] = [i for i in await visitor.items(thread_id) if i["type"] == "widget"]
    return str(card["widget"]["children"][0]["value"])


async def test_an_action_changes_its_widget_where_it_stands(
    with_model: Scripted, database: Database
) -> None:
    visitor, _, widget = await pinned(with_model)

    turn = await visitor.stream(STREAMING, **widget, action=writing("milk"))

    assert turn.types == ["stream_options", "thread.item.replaced"]
    types = [item["type"] for item in await visitor.items(widget["thread_id"])]
    assert types == ["user_message", "workflow", "widget", "assistant_message"]
    assert await stored(visitor, widget["thread_id"]) == f"milk by {visitor.user_id}"
    runs = select(RunRow.status).where(
        RunRow.user_id == visitor.user_id, RunRow.request == STREAMING
    )
    assert [row.status for row in await database.fetch(visitor.user_id, runs)] == ["done"]


async def test_an_action_that_does_not_stream_answers_with_the_widget(
    with_model: Scripted,
) -> None:
    visitor, _, widget = await pinned(with_model)

    response = await visitor.send(WAITING, **widget, action=writing("milk"))

    item = response.json()["updated_item"]
    assert item["id"] == widget["item_id"]
    assert item["widget"]["children"][0]["value"] == f"milk by {visitor.user_id}"
    assert await stored(visitor, widget["thread_id"]) == f"milk by {visitor.user_id}"


async def test_the_model_knows_the_widget_as_it_is_now(with_model: Scripted) -> None:
    visitor, model, widget = await pinned(with_model)
    await visitor.send(WAITING, **widget, action=writing("milk"))

    await visitor.say("and?", widget["thread_id"])

    assert "A card: milk" in str(model.calls[-1].input)
    assert "A blank card" not in str(model.calls[-1].input)


@BOTH
async def test_an_unknown_action_is_refused(with_model: Scripted, kind: str) -> None:
    visitor, _, widget = await pinned(with_model)

    refused = await visitor.send(kind, **widget, action={"type": "board.burn"})

    assert refused.status_code == 422
    assert refused.json()["error"]["message"] == "There is no such action."


@BOTH
async def test_an_action_comes_from_a_widget(with_model: Scripted, kind: str) -> None:
    visitor, _, widget = await pinned(with_model)
    thread_id = widget["thread_id"]
    [message, *_] = await visitor.items(thread_id)

    for item_id, status in ((None, 422), (message["id"], 422), ("msg_0", 404)):
        refused = await visitor.send(
            kind, thread_id=thread_id, item_id=item_id, action=writing("milk")
        )
        assert refused.status_code == status
    assert await stored(visitor, thread_id) == "blank"


@BOTH
async def test_nobody_acts_in_another_users_thread(
    with_model: Scripted, stranger: Visitor, kind: str
) -> None:
    visitor, _, widget = await pinned(with_model)
    stranger.client.base_url = visitor.client.base_url

    refused = await stranger.send(kind, **widget, action=writing("milk"))

    assert refused.status_code == 404
    assert await stored(visitor, widget["thread_id"]) == "blank"


async def test_what_a_tool_will_not_do_is_told(with_model: Scripted) -> None:
    visitor, _, widget = await pinned(with_model)

    refused = await visitor.send(WAITING, **widget, action=writing("no"))
    assert refused.status_code == 422
    assert refused.json()["error"]["message"] == "Not on this card."
    turn = await visitor.stream(STREAMING, **widget, action=writing("no"))
    assert turn.error is not None
    assert turn.error["message"] == "Not on this card."
    assert turn.error["allow_retry"] is False


async def test_an_action_that_fails_says_nothing_of_the_inside(with_model: Scripted) -> None:
    visitor, _, widget = await pinned(with_model)

    response = await visitor.send(WAITING, **widget, action=writing("boom"))
    assert response.status_code == 500
    assert "secret" not in response.text
    turn = await visitor.stream(STREAMING, **widget, action=writing("boom"))
    assert turn.error is not None
    assert "secret" not in str(turn.events)
    assert await stored(visitor, widget["thread_id"]) == "blank"


async def test_what_has_begun_is_carried_through_though_it_is_stopped(
    with_model: Scripted,
) -> None:
    visitor, _, widget = await pinned(with_model)
    body = {"type": STREAMING, "params": widget | {"action": writing("slow")}}
    async with visitor.client.stream("POST", "/chatkit", json=body) as response:
        await asyncio.wait_for(begun.wait(), PATIENCE_SECONDS)
        run_id = response.headers["x-run-id"]
        assert (await visitor.client.post(f"/chatkit/runs/{run_id}/stop")).status_code == 204
        await response.aread()
    assert await stored(visitor, widget["thread_id"]) == "blank"
    goes_on.set()

    async def is_carried_through() -> bool:
        return await stored(visitor, widget["thread_id"]) == f"slow by {visitor.user_id}"

    await until(is_carried_through)


async def test_two_at_once_in_one_thread_wait_for_each_other(with_model: Scripted) -> None:
    visitor, _, widget = await pinned(with_model)
    first = asyncio.create_task(visitor.send(STREAMING, **widget, action=writing("slow")))
    await asyncio.wait_for(begun.wait(), PATIENCE_SECONDS)

    second = await visitor.send(STREAMING, **widget, action=writing("milk"))

    goes_on.set()
    assert second.status_code == 409
    assert (await first).status_code == 200
