"""Tool calls are sent back in a form that every server accepts, in the same turn and later."""

import json
import re
from collections.abc import Iterable
from typing import Any

import pytest
from chatkit.types import HiddenContextItem

from engine.context.clock import now
from engine.context.ids import new_id
from engine.context.request_context import RequestContext
from engine.database.database import Database
from engine.models.boundary.calls import (
    fit_name,
    object_arguments,
    offered_name,
    readable_arguments,
)
from engine.models.boundary.inputs import NO_RESULT, fit_input
from engine.store.store import SqlStore
from engine.tests.agent.fixtures import WithServer
from engine.tests.model_server import Behaviour, Event, called, chat_call, complete, respond, said
from engine.turn.history import TOOL_CALL

APIS = ["responses", "chat_completions"]
NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


def calls_in(body: Event) -> list[tuple[str, str, str]]:
    """Name, id and arguments of each call that is sent to the server."""
    if "messages" in body:
        made = [c for message in body["messages"] for c in message.get("tool_calls") or ()]
        return [(c["function"]["name"], c["id"], c["function"]["arguments"]) for c in made]
    made = [item for item in body["input"] if item.get("type") == "function_call"]
    return [(c["name"], c["call_id"], c["arguments"]) for c in made]


def results_in(body: Event) -> list[str]:
    """The ids of the calls that have a result."""
    if "messages" in body:
        return [m["tool_call_id"] for m in body["messages"] if m["role"] == "tool"]
    kind = "function_call_output"
    return [item["call_id"] for item in body["input"] if item.get("type") == kind]


def check(bodies: Iterable[Event]) -> None:
    """The checks of the strictest servers."""
    for body in bodies:
        calls = calls_in(body)
        ids = [call_id for _, call_id, _ in calls]
        assert len(set(ids)) == len(ids)
        assert sorted(ids) == sorted(results_in(body))
        for name, call_id, arguments in calls:
            assert NAME.fullmatch(name)
            assert 0 < len(call_id) <= 64
            assert isinstance(json.loads(arguments), dict)
        for message in body.get("messages") or body["input"]:
            if message.get("role") == "assistant":
                assert message.get("content") or message.get("tool_calls")


def calling(api: str, *calls: tuple[str, str, str | None]) -> Behaviour:
    """Call these functions; each has a name, arguments and an id."""
    if api == "responses":
        return respond(*(called(name, args, call_id or "") for name, args, call_id in calls))
    made = (chat_call(n, a, call_id, i) for i, (n, a, call_id) in enumerate(calls))
    return complete(*made, finish_reason="tool_calls")


TEXT = '{"text": "x"}'
ODD: dict[str, tuple[str, str, str | None]] = {
    "no id": ("shout", TEXT, ""),
    "an id of null": ("shout", TEXT, None),
    "a long id": ("shout", TEXT, "call_" + "x" * 100),
    "an id of other signs": ("shout", TEXT, "functions.shout:0"),
    "a name in a namespace": ("functions.shout", TEXT, "1"),
    "a name with tokens of the format": ("shout<|channel|>commentary", TEXT, "1"),
    "a long name": ("shout" * 20, TEXT, "1"),
    "a name of other signs": ("lä.ut/er!", TEXT, "1"),
    "no arguments": ("shout", "", "1"),
    "half of them": ("shout", '{"text": "ha', "1"),
    "a list": ("shout", "[1]", "1"),
    "a number": ("shout", "7", "1"),
    "null": ("shout", "null", "1"),
    "encoded twice": ("shout", json.dumps(TEXT), "1"),
    "not a number": ("shout", '{"text": NaN}', "1"),
}
EXECUTED = {
    "no id",
    "an id of null",
    "a long id",
    "an id of other signs",
    "a name in a namespace",
    "a name with tokens of the format",
    "encoded twice",
}


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("name", ODD)
async def test_an_invalid_call_is_normalized(with_server: WithServer, api: str, name: str) -> None:
    visitor, model = await with_server(openai_api=api)
    model.does(calling(api, ODD[name]))

    turn = await visitor.say("go")
    await visitor.say("and?", turn.thread_id)

    assert turn.error is None
    assert turn.answer.strip() == "All is well."
    assert len(model.exchanges) == 3
    check(exchange.body for exchange in model.exchanges)
    if name in EXECUTED:
        assert model.exchanges[1].results[0].startswith("X!")


@pytest.mark.parametrize("api", APIS)
async def test_duplicate_call_ids(with_server: WithServer, api: str) -> None:
    """In one response, in the next one, and in the next turn."""
    visitor, model = await with_server(openai_api=api)
    two = calling(api, ("shout", '{"text": "a"}', "0"), ("shout", '{"text": "b"}', "0"))
    model.does(two, calling(api, ("shout", '{"text": "c"}', "0")))
    turn = await visitor.say("go")
    model.does(two)
    await visitor.say("again", turn.thread_id)

    check(exchange.body for exchange in model.exchanges)
    assert [result[0] for result in model.exchanges[-1].results] == [*"ABCAB"]


async def test_a_message_without_text_beside_a_call(with_server: WithServer) -> None:
    visitor, model = await with_server()
    model.does(respond(said(""), called("shout", TEXT)))
    turn = await visitor.say("go")
    await visitor.say("and?", turn.thread_id)
    check(exchange.body for exchange in model.exchanges)
    assert [item["type"] for item in turn.done("assistant_message")] == ["assistant_message"]


STORED: list[Event] = [
    {"type": "function_call", "call_id": "", "name": "", "arguments": "[]"},
    {"type": "function_call_output", "call_id": "", "output": "x"},
    {"type": "function_call", "call_id": "c" * 99, "name": "a.b", "arguments": '{"half'},
    {"type": "function_call_output", "call_id": "c" * 99, "output": "x"},
    {"type": "function_call", "call_id": "lost", "name": "n" * 99, "arguments": ""},
    {"type": "function_call_output", "call_id": "never made", "output": "x"},
]


@pytest.mark.parametrize("api", APIS)
async def test_stored_conversations_are_normalized(
    with_server: WithServer, database: Database, api: str
) -> None:
    visitor, model = await with_server(openai_api=api)
    thread_id = (await visitor.say("hello")).thread_id
    store, context = SqlStore(database), RequestContext(visitor.user_id)
    for items in (STORED[:2], STORED[:2], STORED[2:4], STORED[4:]):
        stored = HiddenContextItem(
            id=new_id("tool_call"),
            thread_id=thread_id,
            created_at=now(),
            content={"kind": TOOL_CALL, "items": items},
        )
        await store.add_thread_item(thread_id, stored, context)

    turn = await visitor.say("and?", thread_id)

    assert turn.answer.strip() == "All is well."
    body = model.exchanges[-1].body
    check([body])
    assert len(calls_in(body)) == 4
    assert NO_RESULT in str(body)


async def test_a_servers_own_item_ids_are_sent_back(with_server: WithServer) -> None:
    visitor, model = await with_server()
    model.does(respond(said("Let me see."), called("shout", TEXT)))
    turn = await visitor.say("go")
    await visitor.say("and?", turn.thread_id)

    ids = [item["id"] for item in model.exchanges[1].body["input"] if "id" in item]
    assert ids == ["msg_1", "fc_call_1"]
    later = model.exchanges[2].body["input"]
    assert [item["id"] for item in later if "id" in item] == []


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("shout", "shout"),
        ("functions.shout", "shout"),
        ("default_api:shout", "shout"),
        ("shout<|channel|>json", "shout"),
        ("other.tool", "other_tool"),
        ("", "unknown"),
        (None, "unknown"),
        ("x" * 99, "x" * 64),
    ],
)
def test_names(given: Any, name: str) -> None:
    assert offered_name(given, {"shout"}) == name
    assert NAME.fullmatch(fit_name(given))


@pytest.mark.parametrize(
    ("given", "read", "sent_back"),
    [
        ("", "{}", "{}"),
        (None, "{}", "{}"),
        ('{"a": 1}', '{"a": 1}', '{"a": 1}'),
        ('"{\\"a\\": 1}"', '{"a": 1}', '{"a": 1}'),
        ('{"a', '{"a', "{}"),
        ("[1]", "[1]", "{}"),
        ("[" * 100_000, "[" * 100_000, "{}"),
    ],
)
def test_arguments(given: Any, read: str, sent_back: str) -> None:
    assert readable_arguments(given) == read
    assert object_arguments(given) == sent_back


def test_empty_messages_are_not_sent() -> None:
    blank = {"type": "input_text", "text": " "}
    words = {"type": "input_text", "text": "x"}
    given: list[Any] = [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": ""},
        {"role": "assistant", "content": [{"type": "output_text", "text": ""}]},
        {"role": "user", "content": [blank, words]},
        {"role": "user", "content": [blank]},
    ]
    assert fit_input(given) == [
        {"role": "user", "content": "hello"},
        {"role": "user", "content": [words]},
    ]
