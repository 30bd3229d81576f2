"""The engine of the chat: what the application may use of it. README.md beside this says more.

A name is imported when it is first asked for: commands that need little stay quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from engine.speed.garbage import collect_garbage_seldom

if TYPE_CHECKING:
    from engine.auth.base import Authenticator, User
    from engine.chat import Chat
    from engine.http.errors import Unauthenticated
    from engine.models.source import ModelSource
    from engine.operate.start import exit_with_one_line
    from engine.settings.settings import EnvSettings, Settings
    from engine.tools.services import ToolRefusal
    from engine.tools.tool import AgentTool, DemoCall, agent_function
    from engine.tools.turn_context import TurnContext
    from engine.tools.waiting import wait_for_page

__all__ = [
    "AgentTool",
    "Authenticator",
    "Chat",
    "DemoCall",
    "EnvSettings",
    "ModelSource",
    "Settings",
    "ToolRefusal",
    "TurnContext",
    "Unauthenticated",
    "User",
    "agent_function",
    "exit_with_one_line",
    "wait_for_page",
]

_MODULES = {
    "engine.auth.base": ("Authenticator", "User"),
    "engine.chat": ("Chat",),
    "engine.http.errors": ("Unauthenticated",),
    "engine.models.source": ("ModelSource",),
    "engine.operate.start": ("exit_with_one_line",),
    "engine.settings.settings": ("EnvSettings", "Settings"),
    "engine.tools.services": ("ToolRefusal",),
    "engine.tools.tool": ("AgentTool", "DemoCall", "agent_function"),
    "engine.tools.turn_context": ("TurnContext",),
    "engine.tools.waiting": ("wait_for_page",),
}

collect_garbage_seldom()


def __getattr__(name: str) -> object:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
