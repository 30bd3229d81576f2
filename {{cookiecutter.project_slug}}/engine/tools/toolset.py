"""The application's tools, and which of them work with which model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.http.errors import InvalidRequest
from engine.settings.settings import Settings, is_litellm
from engine.tools.tool import AgentTool


@dataclass(frozen=True)
class Choice:
    """What the user picked in the composer. None leaves the tool to the model."""

    model: str
    tool: AgentTool | None = None


class Toolset:
    def __init__(self, tools: Sequence[AgentTool], settings: Settings) -> None:
        self._tools = tuple(tools)
        self._settings = settings

    def __iter__(self) -> Iterator[AgentTool]:
        return iter(self._tools)

    def usable(self, *models: str) -> tuple[AgentTool, ...]:
        """Those that work with one of these models, or of those on offer: the page has them all."""
        models = models or self._settings.offered_models
        if self._settings.is_demo or any(map(self._has_responses, models)):
            return self._tools
        return tuple(tool for tool in self._tools if not tool.responses_api_only)

    def usable_in(self, choice: Choice) -> tuple[AgentTool, ...]:
        """Those that the model is given in a turn with this choice."""
        return (choice.tool,) if choice.tool else self.usable(choice.model)

    def owner_of(self, function: str) -> AgentTool | None:
        """The tool that has a function of this name."""
        return next((tool for tool in self._tools if tool.owns(function)), None)

    def with_action(self, action_type: str) -> AgentTool:
        """Raises `InvalidRequest` when no tool has such an action."""
        for tool in self._tools:
            if action_type in tool.actions:
                return tool
        raise InvalidRequest("There is no such action.")

    def _has_responses(self, model: str) -> bool:
        return self._settings.openai_api == "responses" and not is_litellm(model)
