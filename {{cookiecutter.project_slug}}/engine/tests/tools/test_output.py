"""What any tool returns is data: it weighs no more than the result of a call, on either API."""

import json

import pytest

from app.agent import tools
from app.agent.build import INSTRUCTIONS
from app.agent.tools import TOOLS
from engine.tests.agent.echo import ECHO
from engine.tests.agent.fixtures import WithServer
from engine.tests.model_server import answer, call
from engine.tools.tool import AgentTool, DemoCall

DEMOS = [
    (tool, demo)
    for tool in (ECHO, *TOOLS)
    if (demo := tool.demo(tool.prompt) or tool.demo_default) is not None
]


@pytest.mark.parametrize("api", ["responses", "chat_completions"])
@pytest.mark.parametrize(("tool", "demo"), DEMOS, ids=lambda row: getattr(row, "id", None))
async def test_no_result_becomes_an_instruction(
    with_server: WithServer,
    monkeypatch: pytest.MonkeyPatch,
    api: str,
    tool: AgentTool,
    demo: DemoCall,
) -> None:
    monkeypatch.setattr(tools, "TOOLS", (tool,))
    visitor, model = await with_server(openai_api=api)
    model.does(call((demo.function, json.dumps(demo.arguments))), answer("Done."))

    turn = await visitor.say("go")
    await visitor.say("and?", turn.thread_id)

    assert turn.error is None
    for exchange in model.exchanges[1:]:
        [result] = exchange.results
        assert result
        assert exchange.commands == [INSTRUCTIONS]
