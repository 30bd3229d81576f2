"""`BoundaryModel`, which wraps the real model for the agent."""

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
from agents.handoffs import Handoff
from agents.items import TResponseStreamEvent

from engine.models.boundary.calls import CallIds
from engine.models.boundary.endings import Cut, track_ending
from engine.models.boundary.inputs import (
    digests_of,
    fit_input,
    newest_files,
    with_given_ids,
    without_unknown_reasoning,
)
from engine.models.boundary.learned import (
    ENCRYPTED_REASONING,
    LearnedWorkarounds,
    Request,
    Tried,
    Workaround,
)
from engine.models.boundary.outputs import ItemIds, ResponseEvents, Visible
from engine.models.wrapped import WrappedModel, whole_response

TEXT = Visible()


@dataclass(frozen=True)
class Dialect:
    """A model's API, and the features of its server."""

    is_responses: bool
    encrypted_reasoning: bool = False
    stream_options: bool = True
    learned: LearnedWorkarounds = field(default_factory=LearnedWorkarounds)
    # What an agent's own settings need not say: how the provider caches, and what it charges.
    defaults: ModelSettings = field(default_factory=ModelSettings)
    takes_cache_key: bool = False
    # The thread's id, if the requests are about one.
    conversation: str | None = None

    def settings(self, settings: ModelSettings) -> ModelSettings:
        """The agent's settings, with defaults. One conversation's requests go to one cache."""
        defaults = self.defaults
        if self.takes_cache_key and self.conversation is not None:
            key = {"prompt_cache_key": self.conversation}
            defaults = replace(defaults, extra_args={**(defaults.extra_args or {}), **key})
        return defaults.resolve(settings)


@dataclass
class Remarks:
    """Facts about an answer of which the user is informed.

    `is_empty` is true if the last response had neither text nor calls.
    """

    cut: Cut | None = None
    is_empty: bool = False
    refused_files: bool = False


class BoundaryModel(WrappedModel):
    """Normalizes the requests to the model and its responses. There is one for each turn.

    `item_ids` creates ids for the model's items. `remarks` collects facts about the answer.
    """

    def __init__(
        self,
        model: Model,
        dialect: Dialect,
        item_ids: ItemIds,
        visible: Visible = TEXT,
    ) -> None:
        super().__init__(model)
        self._dialect = dialect
        self._item_ids = item_ids
        self._visible = visible
        self.remarks = Remarks()

    async def stream_response(
        self,
        system_instructions: str | None,
        input: str | list[TResponseInputItem],
        model_settings: ModelSettings,
        tools: list[Tool],
        *args: Any,
        **more: Any,
    ) -> AsyncIterator[TResponseStreamEvent]:
        """The events of one response.

        If the server refuses the request before the first event, it is retried with a workaround.
        """
        # The SDK passes these by position for a stream, and by name for a whole response.
        handoffs: list[Handoff] = more["handoffs"] if "handoffs" in more else args[1]
        call_ids = CallIds()
        offered = {tool.name for tool in tools} | {handoff.tool_name for handoff in handoffs}
        asked = self._request(input, model_settings, call_ids)
        tried: Tried = frozenset()
        refusal: Exception | None = None
        while True:
            sent = self._dialect.learned.apply(asked, tried)
            response = ResponseEvents(self._item_ids, call_ids, offered, self._visible)
            response.ending = track_ending()
            stream = self._model.stream_response(
                system_instructions, sent.input, sent.settings, tools, *args, **more
            )
            has_begun = False
            try:
                async for event in _fit_events(stream, response):
                    if not has_begun:
                        has_begun = True
                        self._accepted(asked, sent, tried)
                    yield event
            except Exception as error:
                if has_begun:
                    raise
                workaround = self._dialect.learned.workaround_for(error, sent, tried)
                if workaround is None:
                    # If omitting the files did not help, report the error with the files.
                    without_files = Workaround.NO_REFUSED_FILES in tried
                    raise (refusal or error) if without_files else error from None
                tried, refusal = tried | {workaround}, error
                continue
            self.remarks.cut = response.cut or self.remarks.cut
            self.remarks.is_empty = response.is_empty
            return

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        """The response as a whole, which the SDK requests for an agent that is used as a tool."""
        return await whole_response(self.stream_response(*args, **kwargs))

    def _request(
        self,
        given: str | list[TResponseInputItem],
        settings: ModelSettings,
        call_ids: CallIds,
    ) -> Request:
        items = fit_input(given, call_ids)
        settings = self._dialect.settings(settings)
        if self._dialect.is_responses:
            items = without_unknown_reasoning(items)
            with_given_ids(items, self._item_ids.given)
            if self._dialect.encrypted_reasoning:
                include = [*(settings.response_include or ()), ENCRYPTED_REASONING]
                settings = replace(settings, response_include=include)
        if not self._dialect.stream_options:
            settings = replace(settings, include_usage=None)
        return Request(items, settings, self._dialect.is_responses, digests_of(items))

    def _accepted(self, asked: Request, sent: Request, tried: Tried) -> None:
        """Remember that the server accepted the request."""
        self._dialect.learned.remember(tried, sent)
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
