"""The tools of those remote MCP servers that are connected."""

import json
import re

from agents import Tool

from engine import AgentTool, DemoCall
from engine.tool_parts import ToolServices
from engine.toolkits.mcp.servers import PREFIX, McpServers


def _discover(services: ToolServices) -> list[Tool]:
    return services.get(McpServers).tools


def _demo(text: str) -> DemoCall | None:
    """Recognizes for example `call mcp__shop__add with {"a": 1}`."""
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
