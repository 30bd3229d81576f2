"""The tokens that a turn costs its user."""

from typing import Any

from agents import Agent, RunResultStreaming

from engine.context.run import Run
from engine.text.tokens import tokens_of


def count_answer(run: Run, result: RunResultStreaming, asked: list[Any]) -> None:
    """Tokens as the API counted them; what it did not count is estimated, such as a call cut off."""
    usage = result.context_wrapper.usage
    run.add_tokens(usage.input_tokens, usage.output_tokens)
    if not run.complete:
        run.add_tokens(tokens_of(asked), run.cut_tokens)
    elif not usage.total_tokens:
        answered = [item.to_input_item() for item in result.new_items]
        run.add_tokens(tokens_of(asked), tokens_of(answered))


def instructions_of(agent: Agent[Any]) -> str:
    return agent.instructions if isinstance(agent.instructions, str) else ""
