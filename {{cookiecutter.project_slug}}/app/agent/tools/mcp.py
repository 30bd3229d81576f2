"""The tools of those remote MCP servers that are connected."""

import json
import re

from agents import Tool

from engine import AgentTool, DemoCall, ToolServices
from engine.toolkits.mcp_servers import PREFIX, McpServers


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
    translations={
        "de": {
            "Connected tools": "Verbundene Werkzeuge",
            "Use a connected tool": "Ein verbundenes Werkzeug nutzen",
            "What can your connected tools do?": "Was können deine verbundenen Werkzeuge?",
        },
        "es": {
            "Connected tools": "Herramientas conectadas",
            "Use a connected tool": "Use una herramienta conectada",
            "What can your connected tools do?": "¿Qué pueden hacer tus herramientas conectadas?",
        },
        "fr": {
            "Connected tools": "Outils connectés",
            "Use a connected tool": "Utilisez un outil connecté",
            "What can your connected tools do?": "Que peuvent faire tes outils connectés ?",
        },
        "ja": {
            "Connected tools": "接続ツール",
            "Use a connected tool": "接続ツールを使う",
            "What can your connected tools do?": "接続ツールで何ができますか？",
        },
    },
    demo=_demo,
    demo_reply="The servers in `MCP_SERVERS` bring these tools: ask me to call one by its name.",
    service=McpServers,
    discover=_discover,
    prefix=PREFIX,
)
