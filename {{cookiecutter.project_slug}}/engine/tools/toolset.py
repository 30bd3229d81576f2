"""Selects the tools that work with a model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chatkit.types import InferenceOptions

from engine.http.errors import InvalidRequest
from engine.settings.providers import provider_of
from engine.settings.settings import Settings
from engine.tools.tool import AgentTool


@dataclass(frozen=True)
class Choice:
    """The model and the tool chosen in the composer. None lets the model choose the tool."""

    model: str
    tool: AgentTool | None = None


class Toolset:
    def __init__(self, tools: Sequence[AgentTool], settings: Settings) -> None:
        self._tools = tuple(tools)
        self._settings = settings

    def __iter__(self) -> Iterator[AgentTool]:
        return iter(self._tools)

    def usable(self, *models: str) -> tuple[AgentTool, ...]:
        """The tools that work with one of these models; by default, with any model on offer."""
        models = models or self._settings.offered_models
        if self._settings.is_demo or any(map(self._has_responses, models)):
            return self._tools
        return tuple(tool for tool in self._tools if not tool.responses_api_only)

    def for_demo(self) -> AgentTool | None:
        """A tool that the demo model calls when it gets the tool's prompt."""
        for tool in self.usable():
            if tool.demo_default is not None or tool.demonstrate(tool.prompt):
                return tool
        return None

    def usable_in(self, choice: Choice) -> tuple[AgentTool, ...]:
        """The tools that the model gets in a turn with this choice."""
        return (choice.tool,) if choice.tool else self.usable(choice.model)

    def choice(self, options: InferenceOptions | None) -> Choice:
        """The user's model and tool. What is no longer on offer falls back to the default."""
        offered = self._settings.offered_models
        model = options.model if options and options.model in offered else None
        model = model or offered[0]
        wanted = options.tool_choice.id if options and options.tool_choice else None
        return Choice(model, next((t for t in self.usable(model) if t.id == wanted), None))

    def check(self, options: InferenceOptions) -> None:
        """Raises `InvalidRequest` for a model or tool that is not on offer."""
        offered = self._settings.offered_models
        model = options.model or offered[0]
        if model not in offered:
            raise InvalidRequest("This model is not on offer.")
        wanted = options.tool_choice.id if options.tool_choice else None
        if wanted is None or wanted in (tool.id for tool in self.usable(model)):
            return
        if wanted in (tool.id for tool in self.usable()):
            raise InvalidRequest("This tool does not work with this model.")
        raise InvalidRequest("This tool is not on offer.")

    def owner_of(self, function: str) -> AgentTool | None:
        """The tool with a function of this name."""
        return next((tool for tool in self._tools if tool.owns(function)), None)

    def with_action(self, action_type: str) -> AgentTool:
        """The tool with this action. Raises `InvalidRequest` if there is none."""
        for tool in self._tools:
            if action_type in tool.actions:
                return tool
        raise InvalidRequest("There is no such action.")

    def _has_responses(self, model: str) -> bool:
        return self._settings.openai_api == "responses" and provider_of(model) is None
