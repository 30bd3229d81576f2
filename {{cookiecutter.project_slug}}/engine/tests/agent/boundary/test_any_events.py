"""Events in any order are normalized to a complete, ordered and storable sequence."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai._models import construct_type
from openai.types.responses import ResponseStreamEvent

from engine.context.ids import new_id
from engine.models.boundary.calls import CallIds, object_arguments
from engine.models.boundary.endings import Ending
from engine.models.boundary.failures import EmptyAnswer, ModelFailure
from engine.models.boundary.outputs import ItemIds, ResponseEvents, Visible

TEXTS = st.sampled_from(["", " ", "word ", "\ud83d", "\ude00", "<think>", "</think>", "x\x00y"])
INDEXES = st.sampled_from([0, 1, None])
PARTS = st.one_of(
    st.builds(lambda text: {"type": "output_text", "text": text, "annotations": None}, TEXTS),
    st.builds(lambda text: {"type": "refusal", "refusal": text}, TEXTS),
    st.just({"type": "unheard_of"}),
)
MESSAGES = st.builds(
    lambda parts: {"type": "message", "id": "m", "role": "assistant", "content": parts},
    st.one_of(st.none(), st.lists(PARTS, max_size=2)),
)
CALLS = st.builds(
    lambda name, call_id, arguments: {
        "type": "function_call",
        "id": "f",
        "name": name,
        "call_id": call_id,
        "arguments": arguments,
    },
    st.sampled_from(["tool", "", "a.b", None, "n" * 99]),
    st.sampled_from(["1", "", None, "c" * 99]),
    st.sampled_from(["{}", "", "[", "[]", None]),
)
OTHERS = st.sampled_from(
    [
        {"type": "reasoning", "id": "r", "summary": []},
        {"type": "web_search_call", "id": "w", "status": "completed"},
        {"type": "unheard_of", "id": "u"},
    ]
)
ITEMS = st.one_of(MESSAGES, CALLS, OTHERS)
PLACES = st.fixed_dictionaries(
    {"output_index": INDEXES, "content_index": INDEXES, "item_id": st.sampled_from(["m", "n", ""])}
)


def event(kind: str, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    strategies = {
        name: value if isinstance(value, st.SearchStrategy) else st.just(value)
        for name, value in fields.items()
    }
    return st.builds(
        lambda place, more: {"type": f"response.{kind}", **place, **more},
        PLACES,
        st.fixed_dictionaries(strategies),
    )


EVENTS = st.one_of(
    event("output_item.added", item=ITEMS),
    event("output_item.done", item=ITEMS),
    event("content_part.added", part=PARTS),
    event("content_part.done", part=PARTS),
    event("output_text.delta", delta=TEXTS),
    event("output_text.done", text=TEXTS),
    event("refusal.delta", delta=TEXTS),
    event("refusal.done", refusal=TEXTS),
    event("output_text.annotation.added", annotation=st.sampled_from([None, {"type": "x"}])),
    event("function_call_arguments.delta", delta="{"),
    event("unheard_of"),
)
ENDS = st.builds(
    lambda kind, items, reason: {
        "type": f"response.{kind}",
        "response": {
            "id": "resp",
            "output": items,
            "incomplete_details": {"reason": reason},
            "usage": {"input_tokens": 1},
        },
    },
    st.sampled_from(["completed", "incomplete"]),
    st.one_of(st.none(), st.lists(ITEMS, max_size=3)),
    st.sampled_from([None, "max_output_tokens", "content_filter"]),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=st.lists(EVENTS, max_size=8), end=ENDS)
def test_the_sequence_is_valid(events: list[Any], end: Any) -> None:
    response = ResponseEvents(ItemIds(new_id), CallIds(), {"tool"}, Ending(), Visible("Withheld."))
    told: list[Any] = []
    cut = end["response"]["incomplete_details"]["reason"]
    try:
        for given_event in [*events, end]:
            read = construct_type(type_=ResponseStreamEvent, value=given_event)
            told += response.feed(read)
    except (EmptyAnswer, ModelFailure):
        told += response.flush()
        check_texts(told)
        return
    check_texts(told)
    check_messages(told)
    completed = told[-1]
    assert completed.type == "response.completed"
    done = [e.item for e in told if e.type == "response.output_item.done"]
    whole = [item for item in done if not (cut and is_half_call(item))]
    assert [item.id for item in completed.response.output] == [item.id for item in whole]
    assert completed.response.usage is None or completed.response.usage.total_tokens >= 0


def is_half_call(item: Any) -> bool:
    return item.type == "function_call" and object_arguments(item.arguments) != str(item.arguments)


def check_texts(told: list[Any]) -> None:
    """All texts can be encoded."""
    for fit in told:
        fit.model_dump_json(warnings=False)


def check_messages(told: list[Any]) -> None:
    """Each message opens once, has its text, and ends once with that text."""
    shown: dict[str, str] = {}
    ended: set[str] = set()
    for fit in told:
        match fit.type:
            case "response.output_item.added" if fit.item.type == "message":
                assert fit.item.id not in shown
                shown[fit.item.id] = ""
            case "response.output_text.delta":
                assert fit.item_id not in ended
                shown[fit.item_id] += fit.delta
            case "response.output_item.done" if fit.item.type == "message":
                ended.add(fit.item.id)
                assert "".join(part.text for part in fit.item.content).strip()
                assert sorted("".join(part.text for part in fit.item.content)) == sorted(
                    shown[fit.item.id]
                )
    assert ended == set(shown)
