"""Settings and the user's choice become an agent."""

from dataclasses import dataclass
from pathlib import Path

from agents import (
    Agent,
    FunctionToolResult,
    Model,
    ModelSettings,
    RunContextWrapper,
    ToolsToFinalOutputResult,
)
from chatkit.agents import ResponseStreamConverter

from app.agent import tools
from engine.settings.settings import Settings, is_litellm
from engine.tools.services import ToolServices
from engine.tools.tool import AgentTool
from engine.tools.turn_context import TurnContext

INSTRUCTIONS = Path(__file__).with_name("instructions.md").read_text(encoding="utf-8")
NO_SERVICES = ToolServices(())


@dataclass(frozen=True)
class Choice:
    """What the user picked in the composer. None leaves the tool to the model."""

    model: str
    tool: AgentTool | None = None


def usable_tools(settings: Settings, *models: str) -> tuple[AgentTool, ...]:
    """The tools that work with one of these models, or of those on offer: the page has them all."""
    models = models or settings.offered_models
    if settings.is_demo or any(_has_responses(settings, model) for model in models):
        return tools.TOOLS
    return tuple(tool for tool in tools.TOOLS if not tool.responses_api_only)


def usable_now(settings: Settings, choice: Choice) -> tuple[AgentTool, ...]:
    """The tools that the model is given."""
    return (choice.tool,) if choice.tool else usable_tools(settings, choice.model)


def build_converter(
    settings: Settings, choice: Choice, turn: TurnContext
) -> ResponseStreamConverter:
    """What turns hosted tools' results into items of the conversation."""
    made = (tool.converter(turn) for tool in usable_now(settings, choice) if tool.converter)
    return next(made, ResponseStreamConverter())


def build_agent(
    settings: Settings, model: Model, choice: Choice, services: ToolServices = NO_SERVICES
) -> Agent[TurnContext]:
    chosen = usable_now(settings, choice)
    include = [field for tool in chosen for field in tool.response_include]
    functions = [
        function for tool in chosen for function in (*tool.functions, *tool.discover(services))
    ]
    return Agent[TurnContext](
        name="Assistant",
        instructions=INSTRUCTIONS,
        model=model,
        model_settings=ModelSettings(
            # The chosen tool's functions are the only ones on offer, so any of them will do.
            tool_choice="required" if choice.tool and functions else None,
            response_include=list(include) or None,
            # Servers of chat completions count tokens when they are asked to.
            include_usage=True,
        ),
        tools=list(functions),
        tool_use_behavior=_wait_for_the_page,
    )


def _has_responses(settings: Settings, model: str) -> bool:
    return settings.openai_api == "responses" and not is_litellm(model)


def _wait_for_the_page(
    run: RunContextWrapper[TurnContext], _results: list[FunctionToolResult]
) -> ToolsToFinalOutputResult:
    """End the run if the page has been asked: only its answer can go on."""
    return ToolsToFinalOutputResult(is_final_output=run.context.client_tool_call is not None)
