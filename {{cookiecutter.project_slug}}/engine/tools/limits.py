"""Limits the number of tool calls in one turn."""

from typing import Any

from agents import Agent, ModelResponse, RunContextWrapper, RunHooks
from openai.types.responses import ResponseFunctionToolCall

from engine.sdk_internals import keep_events_before
from engine.tools.turn_context import TurnContext


class TooManyToolCalls(Exception):
    """The model asked for more tool calls than one turn may make."""


class ToolCallLimit(RunHooks[TurnContext]):
    """Ends a run when its model requests too many calls, before any of them is executed.

    Requested calls count, which includes parallel calls and calls of tools that do not exist.
    """

    def __init__(self, limit: int) -> None:
        self._left = limit

    async def on_llm_end(
        self,
        context: RunContextWrapper[TurnContext],
        agent: Agent[Any],
        response: ModelResponse,
    ) -> None:
        self._left -= sum(isinstance(item, ResponseFunctionToolCall) for item in response.output)
        if self._left < 0:
            error = TooManyToolCalls()
            keep_events_before(error)
            raise error
