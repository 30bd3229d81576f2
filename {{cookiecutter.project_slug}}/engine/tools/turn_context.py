"""`TurnContext`: the objects and methods that a tool can use during a turn."""

from collections.abc import Mapping
from typing import Any

from agents import Model, ModelSettings, Tool
from agents.tool_context import ToolContext
from chatkit.agents import AgentContext, ClientToolCall
from chatkit.types import (
    FileSource,
    ThreadStreamEvent,
    WidgetItem,
    Workflow,
)
from chatkit.widgets import WidgetRoot
from pydantic import PrivateAttr, SkipValidation

from engine.context.clock import now
from engine.context.request_context import RequestContext
from engine.database.database import Database
from engine.models.turn_models import TurnModels
from engine.options import Attachments
from engine.sdk_internals import end_merged_stream
from engine.tools.event_order import EventOrder
from engine.tools.services import ToolRefusal, ToolServices
from engine.tools.tool import AgentTool
from engine.tools.toolset import Choice, Toolset


class TurnContext(AgentContext[RequestContext]):
    """The SDK's agent context (widgets, client tools, workflow), and access to the user's rows.

    Tools build their stores from `database` and `user_id`, so they reach only this user's rows.
    `services` holds the resources that tools keep open.
    """

    database: Database
    services: ToolServices
    attachments: SkipValidation[Attachments | None] = None
    toolset: Toolset
    models: TurnModels

    # Private attributes, which Pydantic does not validate.
    _choice: Choice | None = PrivateAttr(default=None)
    _order: EventOrder = PrivateAttr(default_factory=EventOrder)
    _sources: list[FileSource] = PrivateAttr(default_factory=list)
    _cited: dict[str, FileSource] = PrivateAttr(default_factory=dict)
    _shown: list[WidgetItem] = PrivateAttr(default_factory=list)
    _asked_call_id: str | None = PrivateAttr(default=None)

    @property
    def user_id(self) -> str:
        return self.request_context.user_id

    @property
    def choice(self) -> Choice:
        """The model and the tool that the user chose."""
        assert self._choice is not None, "`choose` must be called when a turn begins"
        return self._choice

    def choose(self, choice: Choice) -> None:
        self._choice = choice

    def model(self, name: str | None = None) -> Model:
        """The model of this name; without a name, the model that the user chose."""
        return self.models.get(name or self.choice.model)

    def functions(self) -> list[Tool]:
        """The functions of the chosen tool, or of all usable tools."""
        return [function for tool in self.usable_tools for function in tool.offered(self.services)]

    def model_settings(self) -> ModelSettings:
        """Settings for an agent that gets `functions()` as its tools."""
        include = [field for tool in self.usable_tools for field in tool.response_include]
        return ModelSettings(
            # The agent has only the chosen tool's functions, so any call uses the chosen tool.
            tool_choice="required" if self.choice.tool and self.functions() else None,
            response_include=list(include) or None,
            # Chat Completions servers report token usage only on request.
            include_usage=True,
        )

    @property
    def usable_tools(self) -> tuple[AgentTool, ...]:
        return self.toolset.usable_in(self.choice)

    @property
    def current_workflow_id(self) -> str | None:
        return self.workflow_item.id if self.workflow_item else None

    @property
    def order(self) -> EventOrder:
        return self._order

    @property
    def cited(self) -> Mapping[str, FileSource]:
        """The sources that tools found in this turn, by their citation marks."""
        return self._cited

    def cite(self, mark: str, source: FileSource) -> None:
        """Add a source that a tool found. The tool's task shows it, and the answer shows it
        wherever it contains the mark."""
        self._sources.append(source)
        self._cited[mark] = source

    def take_sources(self) -> list[FileSource]:
        """The sources, without duplicates, that tools found since the last call of this method."""
        sources, self._sources = self._sources, []
        return list({(source.filename): source for source in sources}.values())

    def show(self, widget: WidgetRoot, text: str, item_id: str | None = None) -> WidgetItem:
        """Show a widget below the tasks, after the running calls have returned.

        `text` describes the widget in short, for the model in later turns and for the clipboard.
        """
        item = WidgetItem(
            id=item_id or self.generate_id("message"),
            thread_id=self.thread.id,
            created_at=now(),
            widget=widget,
            copy_text=text,
        )
        self._shown.append(item)
        return item

    def take_shown(self) -> list[WidgetItem]:
        """The widgets that tools showed since the last call of this method."""
        shown, self._shown = self._shown, []
        return shown

    def ask_page(self, call: ToolContext[Any], **params: Any) -> str:
        """Let the page's client tool of the same name answer this function call.

        The run ends here; the page's answer starts the next one.
        """
        if self.client_tool_call is not None:
            raise ToolRefusal("the page can answer only one call at a time. Call it again later.")
        self.client_tool_call = ClientToolCall(name=call.tool_name, arguments=params)
        self._asked_call_id = call.tool_call_id
        return "The page is asked."

    @property
    def asked_call_id(self) -> str | None:
        """The id of the function call that the page was asked to answer."""
        return self._asked_call_id

    async def start_workflow(self, workflow: Workflow) -> None:
        """Start another workflow, after ending the open one: otherwise it would never end."""
        if self.workflow_item is not None:
            await self.end_workflow()
            # Otherwise the SDK would confuse the next workflow with the one that has ended.
            await self.flush()
        await super().start_workflow(workflow)

    async def stream(self, event: ThreadStreamEvent) -> None:
        self._order.sent(event)
        await super().stream(event)

    async def flush(self) -> None:
        """Wait until the event streamed last has come out."""
        await self._order.flush()

    def release(self) -> None:
        """End every wait: the turn is over."""
        self._order.release()
        end_merged_stream(self)
