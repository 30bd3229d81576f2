"""The model that the agent talks to: the real one, behind the boundary."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Any, cast

from agents import (
    Model,
    ModelResponse,
    ModelRetryAdvice,
    ModelRetryAdviceRequest,
    ModelSettings,
    TResponseInputItem,
)
from agents.items import TResponseStreamEvent

from app.agent.boundary.calls import CallIds
from app.agent.boundary.endings import Cut, expect_ending
from app.agent.boundary.inputs import (
    digest,
    files_of,
    fit_input,
    newest_files,
    with_given_ids,
    without_unknown_reasoning,
)
from app.agent.boundary.learned import (
    ENCRYPTED_REASONING,
    Concession,
    Learned,
    Request,
    Tried,
)
from app.agent.boundary.outputs import ItemIds, ResponseEvents, Visible

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


class BoundaryModel(Model):
    """Makes what goes to the model and what comes from it fit to go on. One for each turn.

    `item_ids` names the items that the model makes.
    """

    def __init__(
        self,
        model: Model,
        dialect: Dialect,
        item_ids: ItemIds,
        visible: Visible = TEXT,
    ) -> None:
        self._model = model
        self._dialect = dialect
        self._item_ids = item_ids
        self._visible = visible
        self.remarks = Remarks()

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        *args: Any,
        **kwargs: Any,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The events of one response. What its server refuses is asked for otherwise, until
        something of the answer has been passed on.
        """
        call_ids = CallIds()
        asked = self._request(input, model_settings, call_ids)
        tried: Tried = frozenset()
        refusal: Exception | None = None
        while True:
            sent = self._dialect.learned.applied(asked, tried)
            response = self._expect(call_ids, *args)
            has_begun = False
            try:
                async for event in self._fit_events(
                    system_instructions, sent, response, args, kwargs
                ):
                    if not has_begun:
                        has_begun = True
                        self._note(asked, sent, tried)
                    yield event
            except Exception as error:
                concession = self._dialect.learned.concession_for(error, sent, tried)
                if has_begun or concession is None:
                    # Where leaving the files out did not help, they were not the reason.
                    helped = Concession.NOT_THESE_FILES not in tried
                    raise error if helped or has_begun else refusal or error from None
                tried, refusal = tried | {concession}, error
                continue
            self.remarks.cut = response.cut or self.remarks.cut
            self.remarks.is_silent = response.is_silent
            return

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        return await self._model.get_response(*args, **kwargs)

    def get_retry_advice(self, request: ModelRetryAdviceRequest) -> ModelRetryAdvice | None:
        return self._model.get_retry_advice(request)

    async def close(self) -> None:
        await self._model.close()

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
        return Request(items, settings, self._dialect.is_responses)

    def _expect(self, call_ids: CallIds, *args: Any) -> ResponseEvents:
        tools, _output_schema, handoffs = args[:3]
        return ResponseEvents(
            self._item_ids,
            call_ids,
            {tool.name for tool in tools} | {handoff.tool_name for handoff in handoffs},
            expect_ending(),
            self._visible,
        )

    async def _fit_events(
        self,
        system_instructions: str | None,
        sent: Request,
        response: ResponseEvents,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> AsyncIterator[TResponseStreamEvent]:
        stream = self._model.stream_response(
            system_instructions, sent.input, sent.settings, *args, **kwargs
        )
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

    def _note(self, asked: Request, sent: Request, tried: Tried) -> None:
        """The server took the request."""
        if tried or asked.has_files:
            self._dialect.learned.keep(tried, asked, sent)
        taken = {digest(part) for part in files_of(sent.input)}
        if any(digest(part) not in taken for part in newest_files(asked.input)):
            self.remarks.refused_files = True
