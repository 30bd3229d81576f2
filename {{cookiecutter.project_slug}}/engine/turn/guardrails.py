"""A tripped input guardrail ends its turn at once."""

from typing import Any

from agents import (
    Agent,
    InputGuardrail,
    InputGuardrailResult,
    InputGuardrailTripwireTriggered,
    RunContextWrapper,
    TResponseInputItem,
)

from engine.tools.turn_context import TurnContext


def with_prompt_guardrails(agent: Agent[TurnContext]) -> Agent[TurnContext]:
    """The same agent, whose tripped guardrails do not wait for the model."""
    if not agent.input_guardrails:
        return agent
    return agent.clone(input_guardrails=[PromptGuardrail(each) for each in agent.input_guardrails])


class PromptGuardrail(InputGuardrail[TurnContext]):
    """Raises when it trips.

    The Agents SDK waits for the model's whole answer after a result that has tripped, and stops
    the model after an exception.
    """

    def __init__(self, guardrail: InputGuardrail[TurnContext]) -> None:
        super().__init__(
            guardrail.guardrail_function, guardrail.get_name(), guardrail.run_in_parallel
        )
        self._guardrail = guardrail

    async def run(
        self,
        agent: Agent[Any],
        input: str | list[TResponseInputItem],
        context: RunContextWrapper[TurnContext],
    ) -> InputGuardrailResult:
        result = await self._guardrail.run(agent, input, context)
        if result.output.tripwire_triggered:
            raise InputGuardrailTripwireTriggered(result)
        return result
