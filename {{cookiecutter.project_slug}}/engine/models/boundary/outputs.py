"""Normalizes the events of one response, which differ between servers.

The result is a fixed order: items follow one after the other. A message opens with its first
visible text, a function call is one event when it is complete, and the response ends with
`response.completed`, whose output is equal to the items before. Failures are raised.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.items import TResponseStreamEvent
from chatkit.store import StoreItemType
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseFunctionToolCall,
    ResponseOutputItemDoneEvent,
    ResponseUsage,
)
from openai.types.responses.response_usage import InputTokensDetails, OutputTokensDetails
from pydantic import BaseModel

from engine.models.boundary.calls import CallIds, object_arguments, offered_name, readable_arguments
from engine.models.boundary.endings import Cut, Ending, cut_of
from engine.models.boundary.failures import EmptyAnswer, ModelFailure, failure_in
from engine.models.boundary.messages import StreamedMessage
from engine.text.unicode import valid_unicode


@dataclass
class ItemIds:
    """Creates our ids of items; `given` maps them to the server's ids, which it needs in this run."""

    new_id: Callable[[StoreItemType], str]
    given: dict[str, str] = field(default_factory=dict)

    def create(self, kind: StoreItemType, given: object = None) -> str:
        item_id = self.new_id(kind)
        if isinstance(given, str) and given:
            self.given[item_id] = given
        return item_id


@dataclass(frozen=True)
class Visible:
    """The parts of a response that become visible text.

    `withheld` replaces an answer that the server's content filter removed completely.
    """

    withheld: str | None = None
    refusals: bool = True
    thoughts: bool = False


class ResponseEvents:
    """Normalizes one response. `offered` holds the names of the tools that the model was given."""

    def __init__(
        self,
        ids: ItemIds,
        call_ids: CallIds,
        offered: Collection[str],
        ending: Ending,
        visible: Visible,
    ) -> None:
        self._ids = ids
        self._call_ids = call_ids
        self._offered = offered
        self._ending = ending
        self._visible = visible
        self._open: dict[object, StreamedMessage] = {}
        self._output: list[Any] = []
        # The number of passed-on items of each type, and for each finished message its visibility.
        self._passed_on: Counter[str] = Counter()
        self._messages: list[bool] = []
        self._has_refused = False
        self.cut: Cut | None = None
        self.is_empty = False
        # Stop reading after `response.incomplete`, which the Agents SDK treats as an error.
        self.ended_short = False

    def feed(self, event: Any) -> Iterator[TResponseStreamEvent]:
        """The events that replace this event. Raises `ModelFailure` or `EmptyAnswer`."""
        kind = getattr(event, "type", None)
        if (handle := _HANDLERS.get(str(kind))) is not None:
            yield from handle(self, event)
        else:
            yield _valid_unicode(event)

    def flush(self) -> Iterator[TResponseStreamEvent]:
        """The text that was held back, if the response ends early."""
        for message in self._open.values():
            yield from message.flush()

    # --- Messages ---

    def _text(self, event: Any) -> Iterator[TResponseStreamEvent]:
        if isinstance(event.delta, str):
            yield from self._message(event).text(_content_index(event), event.delta)

    def _whole_text(self, event: Any) -> Iterator[TResponseStreamEvent]:
        yield from self._message(event).whole_text(
            _content_index(event), getattr(event, "text", None)
        )

    def _refusal(self, event: Any) -> Iterator[TResponseStreamEvent]:
        if (text := self._refusal_text(event.delta)) is not None:
            yield from self._message(event).text(_content_index(event), text)

    def _whole_refusal(self, event: Any) -> Iterator[TResponseStreamEvent]:
        yield from self._message(event).whole_text(
            _content_index(event), self._refusal_text(getattr(event, "refusal", None))
        )

    def _refusal_text(self, given: Any) -> str | None:
        if not self._visible.refusals or not isinstance(given, str):
            return None
        # The Agents SDK adds its own English sentence if a filter removed everything.
        if self._ending.cut == "filter" and not self._has_said():
            return None
        self._has_refused = True
        return given

    def _part_done(self, event: Any) -> Iterator[TResponseStreamEvent]:
        yield from self._take_part(self._message(event), _content_index(event), event.part)

    def _take_part(
        self, message: StreamedMessage, index: int, part: Any
    ) -> Iterator[TResponseStreamEvent]:
        read = _reading(part)
        if read("type") == "refusal":
            yield from message.whole_text(index, self._refusal_text(read("refusal")))
        else:
            yield from message.whole_text(index, read("text"))
            message.whole_annotations(index, read("annotations"))

    def _annotation(self, event: Any) -> Iterator[TResponseStreamEvent]:
        yield from self._message(event).annotation(
            _content_index(event), getattr(event, "annotation", None)
        )

    def _message(self, event: Any) -> StreamedMessage:
        """The event's message, which is created if there was no event for its beginning."""
        return self._message_at(event, getattr(event, "item_id", None))

    def _message_at(self, event: Any, given_id: Any) -> StreamedMessage:
        key = _key(event)
        if key not in self._open:
            self._open[key] = self._new_message(given_id, getattr(event, "output_index", None) or 0)
        return self._open[key]

    def _new_message(self, given_id: Any, output_index: int) -> StreamedMessage:
        item_id = self._ids.create("message", given_id)
        return StreamedMessage(item_id, output_index, thoughts=self._visible.thoughts)

    def _finish_message(self, key: object, item: Any) -> Iterator[TResponseStreamEvent]:
        message = self._open.pop(key)
        if item is not None:
            message.keep_provider_data(item)
            for index, part in enumerate(getattr(item, "content", None) or ()):
                yield from self._take_part(message, index, part)
        yield from message.finish()
        self._messages.append(message.is_open)
        if message.is_open:
            self._output.append(message.item())

    # --- Items ---

    def _item_added(self, event: Any) -> Iterator[TResponseStreamEvent]:
        kind = getattr(event.item, "type", None)
        if kind == "message":
            if (key := _key(event)) in self._open:
                yield from self._finish_message(key, None)  # there was no event for its end
        elif kind != "function_call":
            yield _valid_unicode(event)

    def _item_done(self, event: Any) -> Iterator[TResponseStreamEvent]:
        item = event.item
        kind = str(getattr(item, "type", None))
        self._passed_on[kind] += 1
        if kind == "message":
            self._message_at(event, getattr(item, "id", None))
            yield from self._finish_message(_key(event), item)
        elif kind == "function_call":
            yield from self._call(item, event.output_index or 0)
        else:
            self._output.append(item)
            yield _valid_unicode(event)

    def _call(self, given: Any, output_index: int) -> Iterator[TResponseStreamEvent]:
        known = given if isinstance(given, ResponseFunctionToolCall) else _NO_CALL
        item = known.model_copy(
            update={
                "id": self._ids.create("tool_call", getattr(given, "id", None)),
                "call_id": self._call_ids.fit(getattr(given, "call_id", None)),
                "name": offered_name(getattr(given, "name", None), self._offered),
                "arguments": readable_arguments(getattr(given, "arguments", None)),
                "status": "completed",
            }
        )
        self._output.append(item)
        yield ResponseOutputItemDoneEvent(
            type="response.output_item.done",
            item=item,
            output_index=output_index,
            sequence_number=0,
        )

    # --- The end ---

    def _completed(self, event: Any) -> Iterator[TResponseStreamEvent]:
        response = event.response
        if getattr(response, "status", None) in ("failed", "cancelled"):
            raise failure_in(event)
        for key in list(self._open):
            yield from self._finish_message(key, None)
        yield from self._missing_items(getattr(response, "output", None) or ())
        if self._ending.failed:
            raise ModelFailure(self._ending.reason)
        cut = cut_of(_incomplete_reason(response)) or self._ending.cut
        if cut is not None:
            yield from self._end_short(cut)
        self.is_empty = all(getattr(item, "type", None) == "reasoning" for item in self._output)
        yield _completed(response, self._output)

    def _incomplete(self, event: Any) -> Iterator[TResponseStreamEvent]:
        if cut_of(_incomplete_reason(event.response)) is None:
            raise failure_in(event)
        yield from self._completed(event)
        self.ended_short = True

    def _failed(self, event: Any) -> Iterator[TResponseStreamEvent]:
        raise failure_in(event)
        yield

    def _missing_items(self, output: Any) -> Iterator[TResponseStreamEvent]:
        """Items of the finished response for which there was no event."""
        shown, passed_on = list(self._messages), Counter(self._passed_on)
        seen: Counter[str] = Counter()
        for index, item in enumerate(output):
            kind = str(getattr(item, "type", None))
            seen[kind] += 1
            is_known = (
                shown[seen[kind] - 1 : seen[kind]] == [True]
                if kind == "message"
                else seen[kind] <= passed_on[kind]
            )
            if not is_known:
                yield from self._item_done(
                    ResponseOutputItemDoneEvent.model_construct(
                        type="response.output_item.done",
                        item=item,
                        output_index=index,
                        sequence_number=0,
                    )
                )

    def _end_short(self, cut: Cut) -> Iterator[TResponseStreamEvent]:
        """Handle an answer that a limit ended. Calls with incomplete arguments are removed."""
        self._output = [item for item in self._output if not _is_half_call(item)]
        if self._has_said() or any(_is_call(item) for item in self._output):
            # A refusal already explains why the answer ends.
            self.cut = None if cut == "filter" and self._has_refused else cut
        elif cut == "filter" and self._visible.withheld is not None and self._visible.refusals:
            message = self._new_message(None, len(self._output))
            yield from message.text(0, self._visible.withheld)
            yield from message.finish()
            self._output.append(message.item())
        else:
            raise EmptyAnswer

    def _has_said(self) -> bool:
        return any(message.is_open for message in self._open.values()) or any(
            getattr(item, "type", None) == "message" for item in self._output
        )


_NO_RESPONSE = Response(
    id="",
    created_at=0,
    model="",
    object="response",
    output=[],
    parallel_tool_calls=True,
    tool_choice="auto",
    tools=[],
)
_NO_CALL = ResponseFunctionToolCall(type="function_call", call_id="", name="", arguments="")

_Handler = Callable[[ResponseEvents, Any], Iterator[TResponseStreamEvent]]


def _ignore(_events: ResponseEvents, _event: Any) -> Iterator[TResponseStreamEvent]:
    """A later event has the same content."""
    return iter(())


_HANDLERS: Mapping[str, _Handler] = {
    "response.created": _ignore,
    "response.in_progress": _ignore,
    "response.queued": _ignore,
    "response.content_part.added": _ignore,
    "response.content_part.done": ResponseEvents._part_done,
    "response.output_text.delta": ResponseEvents._text,
    "response.output_text.done": ResponseEvents._whole_text,
    "response.output_text.annotation.added": ResponseEvents._annotation,
    "response.refusal.delta": ResponseEvents._refusal,
    "response.refusal.done": ResponseEvents._whole_refusal,
    "response.function_call_arguments.delta": _ignore,
    "response.function_call_arguments.done": _ignore,
    "response.output_item.added": ResponseEvents._item_added,
    "response.output_item.done": ResponseEvents._item_done,
    "response.completed": ResponseEvents._completed,
    "response.incomplete": ResponseEvents._incomplete,
    "response.failed": ResponseEvents._failed,
    "error": ResponseEvents._failed,
    "response.error": ResponseEvents._failed,
}


def _valid_unicode(value: Any) -> Any:
    """The value with valid Unicode in all of its texts."""
    match value:
        case str():
            return valid_unicode(value)
        case list():
            return [_valid_unicode(part) for part in value]
        case dict():
            return {name: _valid_unicode(part) for name, part in value.items()}
        case BaseModel():
            for name, part in list(value):
                if isinstance(part, str | list | dict | BaseModel):
                    setattr(value, name, _valid_unicode(part))
    return value


def _key(event: Any) -> object:
    index = getattr(event, "output_index", None)
    return index if isinstance(index, int) else getattr(event, "item_id", None)


def _content_index(event: Any) -> int:
    index = getattr(event, "content_index", None)
    return index if isinstance(index, int) else 0


def _reading(part: Any) -> Callable[[str], Any]:
    if isinstance(part, dict):
        return part.get
    return lambda name: getattr(part, name, None)


def _incomplete_reason(response: Any) -> object:
    return getattr(getattr(response, "incomplete_details", None), "reason", None)


def _is_call(item: Any) -> bool:
    return isinstance(item, ResponseFunctionToolCall)


def _is_half_call(item: Any) -> bool:
    return _is_call(item) and object_arguments(item.arguments) != item.arguments


def _completed(response: Any, output: list[Any]) -> TResponseStreamEvent:
    changes = {
        "output": output,
        "status": "completed",
        "incomplete_details": None,
        "usage": _usage(getattr(response, "usage", None)),
    }
    known = response if isinstance(response, Response) else _NO_RESPONSE
    return ResponseCompletedEvent.model_construct(
        type="response.completed", response=known.model_copy(update=changes), sequence_number=0
    )


def _usage(given: Any) -> ResponseUsage | None:
    """The token counts, 0 for each that the server did not send."""
    if given is None:
        return None

    def count(source: Any, name: str) -> int:
        value = _reading(source)(name)
        return value if isinstance(value, int) and value > 0 else 0

    asked, answered = count(given, "input_tokens"), count(given, "output_tokens")
    before, after = (_reading(given)(f"{side}_tokens_details") for side in ("input", "output"))
    return ResponseUsage(
        input_tokens=asked,
        output_tokens=answered,
        total_tokens=count(given, "total_tokens") or asked + answered,
        input_tokens_details=InputTokensDetails(
            cached_tokens=count(before, "cached_tokens"),
            cache_write_tokens=count(before, "cache_write_tokens"),
        ),
        output_tokens_details=OutputTokensDetails(
            reasoning_tokens=count(after, "reasoning_tokens")
        ),
    )
