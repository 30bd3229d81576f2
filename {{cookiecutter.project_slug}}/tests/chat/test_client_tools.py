"""Tools that run in the page: the turn ends with the call and goes on with its result."""

from typing import Any

import pytest
from agents import Agent, RunContextWrapper, function_tool
from agents.agent import StopAtTools
from agents.testing import ScriptedModel, assistant_message, function_call
from chatkit.agents import ClientToolCall

from app.agent import tools
from app.agent.build import build_agent
from app.agent.context import TurnContext
from app.agent.tools.base import AgentTool
from app.chat import server
from tests.agent.echo import ECHO
from tests.conftest import Scripted


@function_tool
async def pick(turn: RunContextWrapper[TurnContext], colour: str) -> str:
    """Pick a colour in the page."""
    turn.context.client_tool_call = ClientToolCall(name="pick", arguments={"colour": colour})
    return ""


PICK = AgentTool(
    id="pick", label="Pick", icon="sparkle", functions=(pick,), placeholder="", prompt=""
)


@pytest.fixture(autouse=True)
def _pick(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopping(*args: Any) -> Agent[TurnContext]:
        return build_agent(*args).clone(tool_use_behavior=StopAtTools(stop_at_tool_names=["pick"]))

    monkeypatch.setattr(tools, "TOOLS", (ECHO, PICK))
    monkeypatch.setattr(server, "build_agent", stopping)


async def test_a_call_is_stored_last_and_answered(with_model: Scripted) -> None:
    model = ScriptedModel(
        [
            [function_call("shout", {"text": "hi"}, call_id="call_1")],
            [function_call("pick", {"colour": "red"}, call_id="call_2")],
            [assistant_message("Picked.")],
        ]
    )
    visitor = await with_model(model)

    turn = await visitor.say("go")
    assert turn.types[-1] == "thread.item.done"
    [call] = turn.done("client_tool_call")
    assert call["id"].startswith("tc_")
    assert (await visitor.items(turn.thread_id))[-1]["id"] == call["id"]

    # Refused unless the call is the very last item of the thread, hidden ones included.
    answered = await visitor.stream(
        "threads.add_client_tool_output", thread_id=turn.thread_id, result={"ok": True}
    )
    assert answered.answer == "Picked."
    heard = [item for item in model.calls[2].input if "call_id" in item]
    assert [(item["call_id"], item["type"]) for item in heard] == [
        ("call_1", "function_call"),
        ("call_1", "function_call_output"),
        ("call_2", "function_call"),
        ("call_2", "function_call_output"),
    ]
    assert heard[3]["output"] == '{"ok": true}'


async def test_a_call_leaves_the_workflow_open(with_model: Scripted) -> None:
    step = function_call("pick", {"colour": "red"}, call_id="call_1")
    visitor = await with_model(ScriptedModel([[step]]))

    turn = await visitor.say("go")

    assert turn.done("workflow") == []
