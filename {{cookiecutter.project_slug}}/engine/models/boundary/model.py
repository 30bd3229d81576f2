"""The model that the agent talks to: the real one, behind the boundary."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, cast

from agents import (
    Model,
    ModelResponse,
    ModelSettings,
    Tool,
    TResponseInputItem,
)
from agents.agent_output import AgentOutputSchemaBase
from agents.handoffs import Handoff
from agents.items import TResponseStreamEvent
from agents.models.interface import ModelTracing

from engine.models.boundary.calls import CallIds
from engine.models.boundary.endings import Cut, expect_ending
from engine.models.boundary.inputs import (
    digests_of,
    fit_input,
    newest_files,
    with_given_ids,
    without_unknown_reasoning,
)
from engine.models.boundary.learned import ENCRYPTED_REASONING, Concession, Learned, Request, Tried
from engine.models.boundary.outputs import ItemIds, ResponseEvents, Visible
from engine.models.wrapped import WrappedModel, whole_response

TEXT = Visible()


@dataclass(frozen=True)
class Dialect:
    """The API of a model, and what is known of its server."""

    is_responses: bool
    encrypted_reasoning: bool = False
    stream_options: bool = True
    learned: Learned = field(default_factory=Learned)


@dataclass
class Remarks:
    """Facts about an answer that people are told beside its text.

    `is_silent` is true if the last response had neither text nor calls.
    """

    cut: Cut | None = None
    is_silent: bool = False
    refused_files: bool = False


class BoundaryModel(WrappedModel):
    """Makes what goes to the model and what comes from it fit to go on. One for each turn.

    `item_ids` names the items that the model makes. `remarks` collects facts about the answer.
    """

    def __init__(
        self,
        model: Model,
        dialect: Dialect,
        item_ids: ItemIds,
        visible: Visible = TEXT,
        remarks: Remarks | None = None,
    ) -> None:
        super().__init__(model)
        self._dialect = dialect
        self._item_ids = item_ids
        self._visible = visible
        self.remarks = remarks or Remarks()

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        output_schema: AgentOutputSchemaBase | None,
        handoffs: list[Handoff],
        tracing: ModelTracing,
        **more: Any,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The events of one response.

        A request that the server refuses is made again in another way, as long as nothing of the
        answer has been passed on.
        """
        call_ids = CallIds()
        offered = {tool.name for tool in tools} | {handoff.tool_name for handoff in handoffs}
        asked = self._request(input, model_settings, call_ids)
        tried: Tried = frozenset()
        refusal: Exception | None = None
        while True:
            sent = self._dialect.learned.applied(asked, tried)
            response = ResponseEvents(
                self._item_ids, call_ids, offered, expect_ending(), self._visible
            )
            stream = self._model.stream_response(
                system_instructions,
                sent.input,
                sent.settings,
                tools,
                output_schema,
                handoffs,
                tracing,
                **more,
            )
            has_begun = False
            try:
                async for event in _fit_events(stream, response):
                    if not has_begun:
                        has_begun = True
                        self._note(asked, sent, tried)
                    yield event
            except Exception as error:
                if has_begun:
                    raise
                concession = self._dialect.learned.concession_for(error, sent, tried)
                if concession is None:
                    # Where leaving the files out did not help, they were not the reason.
                    without_files = Concession.NOT_THESE_FILES in tried
                    raise (refusal or error) if without_files else error from None
                tried, refusal = tried | {concession}, error
                continue
            self.remarks.cut = response.cut or self.remarks.cut
            self.remarks.is_silent = response.is_silent
            return

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """The same as a whole, for an agent that is another one's tool."""
        return await whole_response(self.stream_response(*args, **kwargs))

    def _request(
        self,
        given: str | list[TResponseInputItem],
        settings: ModelSettings,
        call_ids: CallIds,
    ) -> Request:
        items = fit_input(given, call_ids)
        if self._dialect.is_responses:
            items = without_unknown_reasoning(items)
            with_given_ids(items, self._item_ids.given)
            if self._dialect.encrypted_reasoning:
                include = [*(settings.response_include or ()), ENCRYPTED_REASONING]
                settings = replace(settings, response_include=include)
        if not self._dialect.stream_options:
            settings = replace(settings, include_usage=None)
        return Request(items, settings, self._dialect.is_responses, digests_of(items))

    def _note(self, asked: Request, sent: Request, tried: Tried) -> None:
        """The server took the request."""
        self._dialect.learned.keep(tried, sent)
        newest = {sent.digests[id(part)] for part in newest_files(asked.input)}
        if newest & sent.left_out:
            self.remarks.refused_files = True


async def _fit_events(
    stream: AsyncIterator[TResponseStreamEvent], response: ResponseEvents
) -> AsyncIterator[TResponseStreamEvent]:
    async with aclosing(cast("AsyncGenerator[TResponseStreamEvent, None]", stream)) as events:
        try:
            async for event in events:
                for fit in response.feed(event):
                    yield fit
                if response.ended_short:
                    return
        except Exception:
            for fit in response.flush():
                yield fit
            raise
        for fit in response.flush():
            yield fit
