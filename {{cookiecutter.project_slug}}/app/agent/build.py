"""The agent that answers."""

from pathlib import Path

from agents import Agent

from engine import TurnContext, wait_for_page

INSTRUCTIONS = Path(__file__).with_name("instructions.md").read_text(encoding="utf-8")


def build_agent(turn: TurnContext) -> Agent[TurnContext]:
    """Build the agent for one turn. Agents that you hand off to need `turn.model()` as well."""
    return Agent[TurnContext](
        name="Assistant",
        instructions=INSTRUCTIONS,
        model=turn.model(),
        model_settings=turn.model_settings(),
        tools=turn.functions(),
        tool_use_behavior=wait_for_page,
    )
