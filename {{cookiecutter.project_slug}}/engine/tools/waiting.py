"""The turn that waits for the page."""

from agents import FunctionToolResult, RunContextWrapper, ToolsToFinalOutputResult

from engine.tools.turn_context import TurnContext


def wait_for_page(
    run: RunContextWrapper[TurnContext], _results: list[FunctionToolResult]
) -> ToolsToFinalOutputResult:
    """Ends the run if the page has been asked: only its answer can go on."""
    return ToolsToFinalOutputResult(is_final_output=run.context.client_tool_call is not None)
