"""Tools of remote MCP servers, as many as answer."""

import json
import re

from agents import Tool

from app.agent.mcp_servers import PREFIX, McpServers
from app.agent.services import ToolServices
from app.agent.tools.base import AgentTool, DemoCall


def _discover(services: ToolServices) -> list[Tool]:
    return services.get(McpServers).tools


def _demo(text: str) -> DemoCall | None:
    """As in: call mcp__shop__add with {"a": 1}"""
    if found := re.search(r"\bcall (mcp__\S+)(?: with (\{.*\}))?", text, re.S):
        return DemoCall(found[1], json.loads(found[2] or "{}"))
    return None


MCP = AgentTool(
    id="mcp",
    label="Connected tools",
    icon="sparkle",
    functions=(),
    placeholder="Use a connected tool",
    prompt="What can your connected tools do?",
    demo=_demo,
    demo_reply="The servers in `MCP_SERVERS` bring these tools: ask me to call one by its name.",
    service=McpServers,
    discover=_discover,
    prefix=PREFIX,
)
