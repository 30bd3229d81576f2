"""The tokens that a turn costs its user, and the money that it costs the operator."""

from typing import Any

from agents import Agent, RunResultStreaming

from engine.context.run import Run
from engine.models.counted import cached_tokens
from engine.models.prices import Prices
from engine.models.turn_models import TurnModels
from engine.text.tokens import tokens_of


class Account:
    """Adds to a run what its models used. The demo model answers under a name of its own."""

    def __init__(self, run: Run, prices: Prices) -> None:
        self._run = run
        self._prices = prices

    def add(self, model: str, tokens_in: int, tokens_out: int, cached: int = 0) -> None:
        name = self._prices.name_of(model)
        self._run.add_use(name, self._prices.use(name, tokens_in, tokens_out, cached))

    def add_answer(self, models: TurnModels, result: RunResultStreaming, asked: list[Any]) -> None:
        """Tokens as the API counted them; what it did not count is estimated, such as a call cut off."""
        for name, counted in models.counted:
            self.add(name, counted.input_tokens, counted.output_tokens, cached_tokens(counted))
        usage = result.context_wrapper.usage
        # Of a model that the turn did not hand out.
        rest_in = usage.input_tokens - sum(counted.input_tokens for _, counted in models.counted)
        rest_out = usage.output_tokens - sum(counted.output_tokens for _, counted in models.counted)
        model = self._run.model
        if rest_in > 0 or rest_out > 0:
            self.add(model, max(0, rest_in), max(0, rest_out))
        if not self._run.complete:
            self.add(model, tokens_of(asked), self._run.cut_tokens)
        elif not usage.total_tokens:
            answered = [item.to_input_item() for item in result.new_items]
            self.add(model, tokens_of(asked), tokens_of(answered))


def instructions_of(agent: Agent[Any]) -> str:
    return agent.instructions if isinstance(agent.instructions, str) else ""
