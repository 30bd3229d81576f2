"""The application as its users meet it: the page, a conversation, and what the model is told."""

import pytest
from agents.testing import ScriptedModel, assistant_message

from app.agent.build import INSTRUCTIONS
from app.agent.tool_list import TOOLS
from engine import AgentTool
from engine.tests.fixtures import Scripted
from engine.tests.talk import Visitor


async def test_the_page_is_served(visitor: Visitor) -> None:
    page = await visitor.client.get("/")
    config = (await visitor.client.get("/config.json")).json()

    assert page.status_code == 200
    assert "<openai-chatkit" in page.text
    assert [tool["id"] for tool in config["tools"]] == [tool.id for tool in TOOLS]


async def test_an_answer_streams_and_is_stored_with_a_title(visitor: Visitor) -> None:
    turn = await visitor.say("Hello there")

    assert turn.error is None
    assert turn.types[-1] == "thread.item.done"
    assert turn.answer
    stored = await visitor.items(turn.thread_id)
    assert [item for item in stored if item["type"] == "user_message"]
    assert [item for item in stored if item["type"] == "assistant_message"]
    thread = await visitor.send("threads.get_by_id", thread_id=turn.thread_id)
    assert thread.json()["title"]


async def test_nobody_sees_another_users_conversation(visitor: Visitor, stranger: Visitor) -> None:
    turn = await visitor.say("Hello there")

    response = await stranger.send("threads.get_by_id", thread_id=turn.thread_id)

    assert response.status_code == 404
    assert (await stranger.send("threads.list")).json()["data"] == []


async def test_who_is_not_signed_in_is_refused(visitor: Visitor) -> None:
    visitor.client.headers.clear()

    assert (await visitor.send("threads.list")).status_code == 401


async def test_the_instructions_reach_the_model(with_model: Scripted) -> None:
    model = ScriptedModel([[assistant_message("Hello.")]])
    visitor = await with_model(model)

    assert (await visitor.say("Hello there")).answer == "Hello."
    assert INSTRUCTIONS in str(model.calls[0].system_instructions)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.id)
async def test_a_tool_that_is_chosen_reaches_the_model(
    with_model: Scripted, tool: AgentTool
) -> None:
    model = ScriptedModel([[assistant_message("Hello.")]])
    visitor = await with_model(model)
    await visitor.say("Hello there", tool=tool.id)

    offered = {function.name for function in model.calls[0].tools}
    assert {function.name for function in tool.functions} <= offered
