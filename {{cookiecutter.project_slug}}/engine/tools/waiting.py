"""Ends a run that has to wait for the page."""

from agents import FunctionToolResult, RunContextWrapper, ToolsToFinalOutputResult

from engine.tools.turn_context import TurnContext


def wait_for_page(
    run: RunContextWrapper[TurnContext], _results: list[FunctionToolResult]
) -> ToolsToFinalOutputResult:
    """Ends the run if the page was asked, because only its answer can continue the turn."""
    return ToolsToFinalOutputResult(is_final_output=run.context.client_tool_call is not None)
