"""Results of tools are data, which weigh no more than the result of a call, on either API."""

import json

import pytest

from app.agent.tool_list import TOOLS
from engine import AgentTool, DemoCall
from engine.tests.agent.fixtures import WithServer
from engine.tests.model_server import answer, call

DEMOS = [
    pytest.param(tool, demo, id=tool.id)
    for tool in TOOLS
    if (demo := tool.demonstrate(tool.prompt) or tool.demo_default) is not None
    # The page answers these in a turn of its own.
    and demo.function not in tool.client_tools
]


@pytest.mark.parametrize("api", ["responses", "chat_completions"])
@pytest.mark.parametrize(("tool", "demo"), DEMOS)
async def test_no_result_becomes_an_instruction(
    with_server: WithServer, api: str, tool: AgentTool, demo: DemoCall
) -> None:
    visitor, model = await with_server(openai_api=api)
    model.does(call((demo.function, json.dumps(demo.arguments))), answer("Done."))

    turn = await visitor.say("go", tool=tool.id)

    assert turn.error is None
    [result] = model.exchanges[1].results
    assert result
    assert result not in " ".join(model.exchanges[1].commands)
