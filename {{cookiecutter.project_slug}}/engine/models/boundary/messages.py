"""A streaming message of the model, and the visible text of its parts."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agents.items import TResponseStreamEvent
from openai.types.responses import (
    ResponseContentPartAddedEvent,
    ResponseOutputItemAddedEvent,
    ResponseOutputItemDoneEvent,
    ResponseOutputMessage,
    ResponseOutputText,
    ResponseOutputTextAnnotationAddedEvent,
    ResponseTextDeltaEvent,
    ResponseTextDoneEvent,
)
from openai.types.responses.response_output_text import Annotation

from engine.models.boundary.citations import citation, citations
from engine.models.think_tags import ThoughtFilter
from engine.text.unicode import TextJoiner, valid_unicode


@dataclass
class _Part:
    """`received` is the server's text and `shown` the visible text, both in pieces.

    `place` is the part's index among the visible parts, None until it has visible text. Until then,
    `blank` holds its leading white space.
    """

    thoughts: ThoughtFilter | None
    received: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    place: int | None = None
    blank: str = ""
    joiner: TextJoiner = field(default_factory=TextJoiner)
    annotations: list[Annotation] = field(default_factory=list)


class StreamedMessage:
    """Produces the events of one message in a fixed order, whatever events the server sends.

    The message opens with its first visible character; without one it never opens. Refusals are
    handled as text. Lone UTF-16 surrogates are removed from texts and, unless `thoughts` is true,
    the thoughts that some models write into their text.
    """

    def __init__(self, message_id: str, output_index: int, *, thoughts: bool = False) -> None:
        self.id = message_id
        self._keeps_thoughts = thoughts
        self.is_open = False
        self._index = output_index
        self._parts: dict[int, _Part] = {}
        self._provider_data: Any = None

    def keep_provider_data(self, item: Any) -> None:
        """Keep the Agents SDK's `provider_data`."""
        self._provider_data = getattr(item, "provider_data", None) or self._provider_data

    def text(self, index: int, delta: str) -> Iterator[TResponseStreamEvent]:
        part = self._part(index)
        part.received.append(delta)
        visible = part.joiner.feed(delta)
        if part.thoughts is not None:
            visible = part.thoughts.feed(visible)
        yield from self._show(part, visible)

    def whole_text(self, index: int, text: object) -> Iterator[TResponseStreamEvent]:
        """Take the part's final text, and emit the rest that the deltas did not contain."""
        part = self._part(index)
        received = "".join(part.received)
        # Surrogate pairs that were split between deltas count as two characters until joined.
        if isinstance(text, str) and valid_unicode(text).startswith(valid_unicode(received)):
            rest = valid_unicode(text)[len(valid_unicode(received)) :]
            if rest:
                yield from self.text(index, rest)

    def annotation(self, index: int, given: Any) -> Iterator[TResponseStreamEvent]:
        if (read := citation(given)) is None:
            return
        part = self._part(index)
        part.annotations.append(read)
        if part.place is not None:
            yield self._annotation_added(part, len(part.annotations) - 1)

    def whole_annotations(self, index: int, given: Any) -> None:
        """Take the part's citations from the finished message."""
        if found := citations(given):
            self._part(index).annotations = found

    def flush(self) -> Iterator[TResponseStreamEvent]:
        """Emit the text that was held back until its continuation is known."""
        for part in self._parts.values():
            rest = part.joiner.finish()
            if part.thoughts is not None:
                rest = part.thoughts.feed(rest) + part.thoughts.finish()
            yield from self._show(part, rest)

    def finish(self) -> Iterator[TResponseStreamEvent]:
        """Close the message, if it has visible text."""
        yield from self.flush()
        if not self.is_open:
            return
        for part in self._shown():
            yield ResponseTextDoneEvent(
                type="response.output_text.done",
                item_id=self.id,
                output_index=self._index,
                content_index=part.place or 0,
                text="".join(part.shown),
                logprobs=[],
                sequence_number=0,
            )
        yield ResponseOutputItemDoneEvent(
            type="response.output_item.done",
            item=self.item(),
            output_index=self._index,
            sequence_number=0,
        )

    def item(self) -> ResponseOutputMessage:
        content: list[Any] = [
            ResponseOutputText(
                type="output_text",
                text="".join(part.shown),
                annotations=_within(part.annotations, sum(map(len, part.shown))),
            )
            for part in self._shown()
        ]
        message = ResponseOutputMessage(
            type="message", id=self.id, role="assistant", status="completed", content=content
        )
        if self._provider_data:
            # The Agents SDK uses this undeclared field.
            message.provider_data = self._provider_data  # type: ignore[attr-defined]
        return message

    def _show(self, part: _Part, visible: str) -> Iterator[TResponseStreamEvent]:
        if part.place is None:
            visible = part.blank + visible
            if not visible.strip():
                part.blank = visible
                return
        elif not visible:
            return
        if not self.is_open:
            self.is_open = True
            yield self._added()
        if part.place is None:
            part.place = len(self._shown())
            yield self._part_added(part.place)
            for number in range(len(part.annotations)):
                yield self._annotation_added(part, number)
        part.shown.append(visible)
        yield ResponseTextDeltaEvent(
            type="response.output_text.delta",
            item_id=self.id,
            output_index=self._index,
            content_index=part.place,
            delta=visible,
            logprobs=[],
            sequence_number=0,
        )

    def _part(self, index: int) -> _Part:
        if index not in self._parts:
            # Models write thoughts only at the beginning of a message.
            is_text = self._keeps_thoughts or bool(self._parts)
            self._parts[index] = _Part(None if is_text else ThoughtFilter())
        return self._parts[index]

    def _shown(self) -> list[_Part]:
        shown = [part for part in self._parts.values() if part.place is not None]
        return sorted(shown, key=lambda part: part.place or 0)

    def _added(self) -> TResponseStreamEvent:
        empty = ResponseOutputMessage(
            type="message", id=self.id, role="assistant", status="in_progress", content=[]
        )
        return ResponseOutputItemAddedEvent(
            type="response.output_item.added",
            item=empty,
            output_index=self._index,
            sequence_number=0,
        )

    def _part_added(self, place: int) -> TResponseStreamEvent:
        return ResponseContentPartAddedEvent(
            type="response.content_part.added",
            item_id=self.id,
            output_index=self._index,
            content_index=place,
            part=ResponseOutputText(type="output_text", text="", annotations=[]),
            sequence_number=0,
        )

    def _annotation_added(self, part: _Part, number: int) -> TResponseStreamEvent:
        added = ResponseOutputTextAnnotationAddedEvent(
            type="response.output_text.annotation.added",
            item_id=self.id,
            output_index=self._index,
            content_index=part.place or 0,
            annotation_index=number,
            sequence_number=0,
        )
        # A dict without validation, because ChatKit validates it with the classes of a finished
        # message, which differ from those of this event.
        return added.model_copy(update={"annotation": part.annotations[number].model_dump()})


def _within(annotations: list[Annotation], end: int) -> list[Annotation]:
    """Limit the citations' indexes to the length of the text."""
    places = ("index", "start_index", "end_index")
    return [
        annotation.model_copy(
            update={
                name: min(getattr(annotation, name), end)
                for name in places
                if hasattr(annotation, name)
            }
        )
        for annotation in annotations
    ]
