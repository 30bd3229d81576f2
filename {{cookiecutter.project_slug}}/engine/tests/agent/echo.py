"""A tool of the tests' own, so that what is common to all tools is tested whatever was chosen."""

import asyncio

from agents import RunContextWrapper

from engine.tools.tool import AgentTool, DemoCall, agent_function
from engine.tools.turn_context import TurnContext


@agent_function
async def shout(turn: RunContextWrapper[TurnContext], text: str) -> str:
    """Say it louder."""
    if text == "boom":
        raise RuntimeError("a secret detail")
    if text == "doze":
        await asyncio.sleep(60)
    return f"{text.upper()}! ({turn.context.user_id})"


def _demo(text: str) -> DemoCall | None:
    return DemoCall("shout", {"text": text.removeprefix("shout ")}) if "shout" in text else None


ECHO = AgentTool(
    id="echo",
    label="Echo",
    icon="sparkle",
    functions=(shout,),
    placeholder="What shall I shout?",
    prompt="shout hello",
    titles={"shout": "Shouting"},
    demo=_demo,
    demo_default=DemoCall("shout", {"text": "default"}),
)
