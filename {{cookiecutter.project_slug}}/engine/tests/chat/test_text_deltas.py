"""Text deltas bypass the SDK's translation, and the events are the same."""

from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest
from agents.testing import ScriptedModel, assistant_message, function_call

from engine.demo.model import DemoModel
from engine.speed.text_deltas import TextDeltas
from engine.tests.fixtures import Scripted
from engine.tests.talk import Event, Turn, is_text

IDS = ("id", "item_id", "thread_id")
TIMES = ("created_at", "duration")


def model() -> ScriptedModel:
    """Talks before its call, and after it."""
    call = function_call("shout", {"text": "x"}, call_id="1")
    return ScriptedModel(
        [[assistant_message("Let me see."), call], [assistant_message("It is X.")]]
    )


async def test_the_events_are_those_of_the_sdks_own_translation(
    with_model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[bool] = []
    take = TextDeltas.take

    def counted(deltas: TextDeltas, event: Any) -> bool:
        taken.append(take(deltas, event))
        return taken[-1]

    monkeypatch.setattr(TextDeltas, "take", counted)
    visitor = await with_model(model())
    ours = await visitor.say("go")

    monkeypatch.setattr(TextDeltas, "take", lambda *_: False)
    visitor = await with_model(model())
    theirs = await visitor.say("go")

    assert sum(taken) == sum(map(is_text, theirs.events)) > 1
    assert told(ours) == told(theirs)


async def test_a_word_without_what_should_come_before_it_is_kept_too(with_model: Scripted) -> None:
    class Abrupt(DemoModel):
        async def stream_response(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            async for event in super().stream_response(*args, **kwargs):
                if event.type != "response.content_part.added":
                    yield event

    visitor = await with_model(Abrupt(0))
    turn = await visitor.say("one two three")

    words = "".join(event["update"]["delta"] for event in turn.events if is_text(event))
    assert words == turn.answer != ""
    [*_, stored] = await visitor.items(turn.thread_id)
    assert stored["content"][0]["text"] == words


def told(turn: Turn) -> list[Event]:
    """The events, with ids in the order in which they appear and without times."""
    numbers = count()
    known: dict[str, int] = {}

    def plain(value: Any) -> Any:
        match value:
            case dict():
                return {
                    key: known.setdefault(inner, next(numbers))
                    if key in IDS and isinstance(inner, str)
                    else plain(inner)
                    for key, inner in value.items()
                    if key not in TIMES
                }
            case list():
                return [plain(inner) for inner in value]
        return value

    return [plain(event) for event in turn.events]
