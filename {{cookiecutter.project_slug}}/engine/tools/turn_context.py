"""What a tool can reach while a turn runs."""

import asyncio
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
from pydantic import PrivateAttr

from engine.attachments.base import Attachments
from engine.context.clock import now
from engine.context.request_context import RequestContext
from engine.database.database import Database
from engine.models.turn_models import TurnModels
from engine.sdk_internals import end_merged_stream
from engine.tools.services import ToolRefusal, ToolServices
from engine.tools.tool import AgentTool
from engine.tools.toolset import Choice, Toolset


class TurnContext(AgentContext[RequestContext]):
    """The SDK's agent context (widgets, client tools, workflow) and the user's own rows.

    Tools build their repositories from `database` and `user_id`, so none can reach another user.
    `services` holds what they keep open.
    """

    database: Database
    services: ToolServices
    attachments: Attachments
    toolset: Toolset
    models: TurnModels

    # (Private, or Pydantic would want to validate it.)
    _choice: Choice | None = PrivateAttr(default=None)
    _delivery: "Delivery" = PrivateAttr(default_factory=lambda: Delivery())
    _found: list[FileSource] = PrivateAttr(default_factory=list)
    _cited: dict[str, FileSource] = PrivateAttr(default_factory=dict)
    _shown: list[WidgetItem] = PrivateAttr(default_factory=list)
    _asked: str | None = PrivateAttr(default=None)

    @property
    def user_id(self) -> str:
        return self.request_context.user_id

    @property
    def choice(self) -> Choice:
        """The model and the tool that the user picked."""
        assert self._choice is not None, "a turn begins with a choice"
        return self._choice

    def choose(self, choice: Choice) -> None:
        self._choice = choice

    def model(self, name: str | None = None) -> Model:
        """The model of this name; without one, the model that the user picked."""
        return self.models.get(name or self.choice.model)

    def functions(self) -> list[Tool]:
        """What the agent can call: the functions of the chosen tool, or of all that are usable."""
        return [
            function
            for tool in self.usable_tools
            for function in (*tool.functions, *tool.discover(self.services))
        ]

    def model_settings(self) -> ModelSettings:
        """Settings for the agent that has `functions`."""
        include = [field for tool in self.usable_tools for field in tool.response_include]
        return ModelSettings(
            # The chosen tool's functions are the only ones on offer, so any of them will do.
            tool_choice="required" if self.choice.tool and self.functions() else None,
            response_include=list(include) or None,
            # Servers of chat completions count tokens when they are asked to.
            include_usage=True,
        )

    @property
    def usable_tools(self) -> tuple[AgentTool, ...]:
        return self.toolset.usable_in(self.choice)

    @property
    def current_workflow_id(self) -> str | None:
        return self.workflow_item.id if self.workflow_item else None

    @property
    def delivery(self) -> "Delivery":
        return self._delivery

    @property
    def cited(self) -> Mapping[str, FileSource]:
        """The sources that tools found in this turn, by the marks with which answers cite them."""
        return self._cited

    def cite(self, mark: str, source: FileSource) -> None:
        """A tool found this: its task shows the source, and where the answer has the mark, so does
        the answer."""
        self._found.append(source)
        self._cited[mark] = source

    def take_found(self) -> list[FileSource]:
        """The different sources that tools found since the last take."""
        found, self._found = self._found, []
        return list({(source.filename): source for source in found}.values())

    def show(self, widget: WidgetRoot, text: str, item_id: str | None = None) -> WidgetItem:
        """Show a widget below the tasks, as soon as the calls that are being made have answered.

        `text` says in short what it shows: to the model in later turns, and to who copies it.
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
        """The widgets that tools showed since the last take."""
        shown, self._shown = self._shown, []
        return shown

    def ask_page(self, call: ToolContext[Any], **params: Any) -> str:
        """Let the page's client tool of the same name answer this call of the model.

        The turn ends here, and goes on with what the page says.
        """
        if self.client_tool_call is not None:
            raise ToolRefusal("the page does one thing at a time. Call it again later.")
        self.client_tool_call = ClientToolCall(name=call.tool_name, arguments=params)
        self._asked = call.tool_call_id
        return "The page is asked."

    @property
    def asked_call_id(self) -> str | None:
        """The call that the page was asked to answer."""
        return self._asked

    async def start_workflow(self, workflow: Workflow) -> None:
        """Begin another workflow. The one that is open ends, or it would stay open for ever."""
        if self.workflow_item is not None:
            await self.end_workflow()
            # The SDK's reader would take the next workflow for the one that has ended.
            await self.flush()
        await super().start_workflow(workflow)

    async def stream(self, event: ThreadStreamEvent) -> None:
        self._delivery.sent(event)
        await super().stream(event)

    async def flush(self) -> None:
        """Wait until the event streamed last has come out."""
        await self._delivery.flush()

    def release(self) -> None:
        """End every wait: the turn is over."""
        self._delivery.release()
        end_merged_stream(self)


class Delivery:
    """Which event of ours has come out of the SDK's merged stream.

    The SDK merges events sent from here with those of the model in no set order; who needs
    them in order waits before letting the model's next event through. Asked for every word, and
    therefore no model: reading a private attribute of one costs more than the question.
    """

    def __init__(self) -> None:
        self._awaited: ThreadStreamEvent | None = None
        self._arrived = asyncio.Event()

    def sent(self, event: ThreadStreamEvent) -> None:
        self._awaited = event
        self._arrived.clear()

    def arrived(self, event: ThreadStreamEvent) -> None:
        """The reader of the merged stream says which event has come out of it."""
        if event is self._awaited:
            self._awaited = None
            self._arrived.set()

    async def flush(self) -> None:
        if self._awaited is not None:
            await self._arrived.wait()

    def release(self) -> None:
        self._awaited = None
        self._arrived.set()
