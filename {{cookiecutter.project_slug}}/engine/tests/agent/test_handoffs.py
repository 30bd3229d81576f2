"""Hand-offs between agents: shown, stored, and the next turn begins where the last one ended."""

from typing import Any

import pytest
from agents import Agent, handoff
from agents.testing import ScriptedModel, assistant_message, function_call

from engine.tests import application
from engine.tests.agent.fixtures import WithServer
from engine.tests.fixtures import Scripted
from engine.tests.model_server import called, respond, said
from engine.tools.turn_context import TurnContext
from engine.turn.handoffs import agent_to_begin_with

GO = function_call("transfer_to_lawyer", {}, call_id="1")


def lawyer(model: Any = None) -> Agent[TurnContext]:
    return Agent[TurnContext](name="Lawyer", instructions="Be exact.", model=model)


@pytest.fixture(params=["an agent", "a handoff"])
def _two_agents(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[Any] = []  # (a handoff refers to its agent weakly)

    def build(turn: TurnContext) -> Agent[TurnContext]:
        model = turn.model()
        target = lawyer(model)
        kept.append(target)
        to: Any = handoff(target) if request.param == "a handoff" else target
        return Agent[TurnContext](name="Clerk", instructions="Be kind.", model=model, handoffs=[to])

    monkeypatch.setattr(application, "build_agent", build)


@pytest.mark.usefixtures("_two_agents")
async def test_a_hand_off_is_shown_stored_and_taken_up(with_model: Scripted) -> None:
    model = ScriptedModel(
        [[GO], [assistant_message("As your lawyer:")], [assistant_message("Still your lawyer.")]]
    )
    visitor = await with_model(model)

    turn = await visitor.say("May I?")

    assert turn.answer == "As your lawyer:"
    [workflow] = turn.done("workflow")
    assert [t["title"] for t in workflow["workflow"]["tasks"]] == [
        "Analyzing request",
        "Handed over to Lawyer",
    ]

    again = await visitor.say("Sure?", turn.thread_id)

    assert again.answer == "Still your lawyer."


@pytest.mark.usefixtures("_two_agents")
async def test_the_call_is_part_of_the_conversation(with_model: Scripted) -> None:
    heard: list[Any] = []

    class Listening(ScriptedModel):
        async def stream_response(self, *args: Any, **kwargs: Any) -> Any:
            heard.append((args[0], args[1]))
            async for event in super().stream_response(*args, **kwargs):
                yield event

    visitor = await with_model(
        Listening([[GO], [assistant_message("As your lawyer:")], [assistant_message("Yes.")]])
    )
    turn = await visitor.say("May I?")
    await visitor.say("Sure?", turn.thread_id)

    assert [instructions for instructions, _ in heard] == ["Be kind.", "Be exact.", "Be exact."]
    names = [item.get("name") for item in heard[-1][1] if item.get("type") == "function_call"]
    assert names == ["transfer_to_lawyer"]
    thread = await visitor.send("threads.get_by_id", thread_id=turn.thread_id)
    assert thread.json()["title"] == "May I?"


def test_an_agent_that_is_gone_leaves_the_conversation_to_the_first() -> None:
    entry = Agent[TurnContext](name="Clerk", handoffs=[lawyer()])
    assert agent_to_begin_with(entry, "Lawyer").name == "Lawyer"
    assert agent_to_begin_with(entry, "Doctor") is entry
    assert agent_to_begin_with(entry, None) is entry


def test_agents_that_hand_over_to_each_other() -> None:
    first, second = lawyer(), Agent[TurnContext](name="Clerk")
    first.handoffs, second.handoffs = [second], [first]
    assert agent_to_begin_with(first, "Clerk") is second
    assert agent_to_begin_with(first, "Doctor") is first


async def test_an_agent_that_is_another_ones_tool(
    with_server: WithServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its answers pass the boundary as well, though they are not streamed to anybody."""

    def build(turn: TurnContext) -> Agent[TurnContext]:
        model = turn.model()
        ask = lawyer(model).as_tool("ask_lawyer", "Asks the lawyer.")
        return Agent[TurnContext](name="Clerk", model=model, tools=[ask])

    monkeypatch.setattr(application, "build_agent", build)
    visitor, model = await with_server()
    model.does(
        respond(called("ask_lawyer", '{"input": "May I?"}')),
        respond(said("\ud83d", "\ude00 Yes.")),
        respond(said("The lawyer says yes.")),
    )
    turn = await visitor.say("May I?")

    assert turn.answer == "The lawyer says yes."
    assert model.exchanges[2].results == ["😀 Yes."]
