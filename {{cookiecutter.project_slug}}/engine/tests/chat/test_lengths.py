"""Everything that the model gets has a length that is counted, and a limit."""

import json
from datetime import datetime
from typing import Any

import pytest
from agents.testing import ScriptedModel, assistant_message, function_call
from agents.tool_context import ToolContext
from chatkit.types import (
    HiddenContextItem,
    StructuredInputAnswer,
    StructuredInputFreeform,
    StructuredInputItem,
    ThreadItem,
    UserMessageItem,
    WidgetItem,
)
from chatkit.widgets import Card, Text

from engine.context.request_context import RequestContext
from engine.database.database import Database
from engine.store.store import SqlStore
from engine.tests import application
from engine.tests.chat.test_limits import assert_refused, rows_of
from engine.tests.fixtures import Scripted
from engine.tests.talk import Turn, Visitor, message
from engine.text.tokens import tokens_of
from engine.tools.tool import AgentTool, agent_function
from engine.tools.turn_context import TurnContext
from engine.turn.history import ITEM_CHARS, TOOL_CALL

WHEN = datetime(2026, 1, 1)  # noqa: DTZ001 (as the SDK stores it)


@agent_function
async def pick(turn: ToolContext[TurnContext]) -> str:
    """Pick a colour in the page."""
    return turn.context.ask_page(turn)


PICK = AgentTool(
    id="pick",
    label="Pick",
    icon="sparkle",
    functions=(pick,),
    placeholder="",
    prompt="",
    client_tools=("pick",),
)


@pytest.fixture(autouse=True)
def _pick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application, "TOOLS", (PICK,))


def picking(number: int) -> Any:
    return function_call("pick", {}, call_id=f"call_{number}")


def ok(times: int) -> ScriptedModel:
    return ScriptedModel([[assistant_message("ok")] for _ in range(times)])


def mentioning(**tag: Any) -> dict[str, Any]:
    part = {"type": "input_tag", "id": "t", "text": "@", "data": {}, **tag}
    return {**message("hello"), "content": [{"type": "input_text", "text": "hello"}, part]}


async def store(visitor: Visitor, database: Database, turn: Turn, *items: ThreadItem) -> None:
    owner = RequestContext(visitor.user_id)
    for item in items:
        await SqlStore(database).save_item(turn.thread_id, item, owner)


@pytest.mark.parametrize(
    "sent",
    [
        mentioning(data={"x": "x" * 100}),
        mentioning(data={"x": [{"y": ["x" * 100]}]}),
        mentioning(data={f"{n:010}": 0 for n in range(10)}),
        mentioning(id="x" * 100),
        mentioning(text="x" * 60),
        {
            **message("hello"),
            "content": [{"type": "input_text", "text": "a"}]
            + [{"type": "input_text", "text": ""}] * 100,
        },
    ],
)
async def test_a_message_is_as_long_as_all_that_is_in_it(
    with_model: Scripted, database: Database, sent: dict[str, Any]
) -> None:
    model = ok(1)
    visitor = await with_model(model, message_chars=100)

    refused = await visitor.send("threads.create", input=sent)

    assert_refused(refused, 413, "message_too_long")
    assert await rows_of(database, visitor.user_id) == [0, 0, 0]
    assert not model.calls


async def test_a_mention_that_fits_is_taken(with_model: Scripted) -> None:
    visitor = await with_model(ok(1), message_chars=100)
    await visitor.stream("threads.create", input=mentioning(data={"x": "x" * 50}))


async def test_what_the_page_says_is_part_of_the_message(with_model: Scripted) -> None:
    visitor = await with_model(ok(1), message_chars=200)
    body = {"type": "threads.create", "params": {"input": message("x" * 100)}}
    for length, status in ((100, 413), (10, 200)):
        page = {"metadata": {"page": {"order": "x" * length}}}
        response = await visitor.client.post("/chatkit", json=body | page)
        assert response.status_code == status


async def test_answers_to_a_question_are_no_longer_than_a_message(
    with_model: Scripted, database: Database
) -> None:
    model = ok(2)
    visitor = await with_model(model, message_chars=100)
    turn = await visitor.say("hello")
    questions = [StructuredInputFreeform(id=id_, question="Why?") for id_ in ("a", "b")]
    asked = StructuredInputItem(
        id="ask_1", thread_id=turn.thread_id, created_at=WHEN, inputs=list(questions)
    )
    await store(visitor, database, turn, asked)
    params: dict[str, Any] = {"thread_id": turn.thread_id, "item_id": "ask_1"}

    def answers(length: int) -> dict[str, Any]:
        return {"answers": {id_: {"values": ["x" * length]} for id_ in ("a", "b")}}

    long = await visitor.send("threads.add_structured_input", input=answers(51), **params)
    assert_refused(long, 413, "message_too_long")
    short = await visitor.send("threads.add_structured_input", input=answers(50), **params)
    assert short.status_code == 200
    assert "x" * 50 in str(model.calls[1].input)


OLD = "old " * 10_000


@pytest.mark.parametrize(
    ("beginning", "changes"),
    [
        ("old old", {"content": [{"type": "input_text", "text": OLD}]}),
        ("old old", {"quoted_text": OLD}),
        ("hello@@", {"content": mentioning(data={"x": OLD})["content"]}),
    ],
    ids=["text", "quotation", "mention"],
)
async def test_a_stored_message_that_is_too_long_is_not_sent_whole(
    with_model: Scripted, database: Database, beginning: str, changes: dict[str, Any]
) -> None:
    """As one was taken before its limit was what it is now."""
    model = ok(3)
    visitor = await with_model(model, message_chars=1_000)
    turn = await visitor.say("first")
    stored = await SqlStore(database).load_item(
        turn.thread_id, turn.user_message_id, RequestContext(visitor.user_id)
    )
    old = UserMessageItem.model_validate({**stored.model_dump(), **changes})
    await store(visitor, database, turn, old)

    await visitor.say("second", turn.thread_id)
    await visitor.stream(
        "threads.retry_after_item", thread_id=turn.thread_id, item_id=turn.user_message_id
    )

    assert all(len(str(call.input)) < 2_500 for call in model.calls)
    assert beginning in str(model.calls[-1].input)
    assert (await visitor.items(turn.thread_id))[0] == old.model_dump(
        mode="json", exclude_none=True
    )


async def test_what_followed_the_newest_message_has_a_limit(with_model: Scripted) -> None:
    model = ScriptedModel([[picking(n)] for n in range(3)] + [[assistant_message("Done.")]])
    visitor = await with_model(model, history_tokens=1_000)
    turn = await visitor.say("go")
    for name in ("first", "second", "third"):
        await visitor.stream(
            "threads.add_client_tool_output", thread_id=turn.thread_id, result=name * 400
        )

    told = model.calls[3].input
    assert told[0]["content"][0]["text"] == "go"
    outputs = [item["output"] for item in told if "output" in item]
    assert outputs == [f'"{"third" * 400}"']
    assert len([item for item in told if item["type"] == "function_call"]) == len(outputs)


async def test_the_newest_result_is_told_whatever_its_length(with_model: Scripted) -> None:
    model = ScriptedModel([[picking(0)], [assistant_message("Done.")]])
    visitor = await with_model(model, history_tokens=1_000)
    turn = await visitor.say("go")
    await visitor.stream(
        "threads.add_client_tool_output", thread_id=turn.thread_id, result="x" * 10_000
    )

    assert model.calls[1].input[-1]["output"] == f'"{"x" * 10_000}"'


async def test_a_result_is_not_made_longer_on_its_way(with_model: Scripted) -> None:
    model = ScriptedModel([[picking(0)], [assistant_message("Done.")]])
    visitor = await with_model(model)
    turn = await visitor.say("go")
    await visitor.stream(
        "threads.add_client_tool_output", thread_id=turn.thread_id, result={"colour": "赤"}
    )

    assert model.calls[1].input[-1]["output"] == '{"colour": "赤"}'


async def test_the_page_takes_its_part_of_the_window(with_model: Scripted) -> None:
    model = ScriptedModel([[assistant_message("a" * 1_500)] for _ in range(3)])
    visitor = await with_model(model, history_tokens=1_000)
    turn = await visitor.say("first")
    params = {"thread_id": turn.thread_id, "input": message("second")}
    body = {"type": "threads.add_user_message", "params": params}
    heard = []
    for page in ({}, {str(n): "x" * 400 for n in range(5)}):
        await visitor.client.post("/chatkit", json=body | {"metadata": {"page": page}})
        heard.append(str(model.calls[-1].input))

    assert "first" in heard[0]
    assert "second" in heard[1]
    assert "a" * 1_500 not in heard[1]


LONG = "y" * (ITEM_CHARS + 1)
STORED: dict[str, dict[str, Any]] = {
    "widget with a text": {
        "type": "widget",
        "widget": Card(children=[Text(value="x")]).model_dump(),
        "copy_text": LONG,
    },
    "widget": {"type": "widget", "widget": Card(children=[Text(value=LONG)]).model_dump()},
    "arguments": {
        "type": "hidden_context_item",
        "content": {
            "kind": TOOL_CALL,
            "items": [
                {
                    "type": "function_call",
                    "call_id": "1",
                    "name": "f",
                    "arguments": json.dumps({"x": LONG}),
                },
                {"type": "function_call_output", "call_id": "1", "output": LONG},
            ],
        },
    },
}


@pytest.mark.parametrize("kind", STORED)
async def test_what_tools_left_behind_is_cut(
    with_model: Scripted, database: Database, kind: str
) -> None:
    model = ok(2)
    visitor = await with_model(model)
    turn = await visitor.say("first")
    about = {"id": "item_1", "thread_id": turn.thread_id, "created_at": WHEN}
    item: ThreadItem
    if kind == "arguments":
        item = HiddenContextItem.model_validate(STORED[kind] | about)
    else:
        item = WidgetItem.model_validate(STORED[kind] | about)
    await store(visitor, database, turn, item)

    await visitor.say("second", turn.thread_id)

    told = str(model.calls[1].input)
    assert "yyy" in told
    assert LONG not in told
    assert len(told) < ITEM_CHARS + 1_000


async def test_answers_that_were_stored_are_cut(with_model: Scripted, database: Database) -> None:
    model = ok(2)
    visitor = await with_model(model)
    turn = await visitor.say("first")
    question = StructuredInputFreeform(
        id="q", question="Why?", answer=StructuredInputAnswer(values=[LONG])
    )
    asked = StructuredInputItem(
        id="ask_1", thread_id=turn.thread_id, created_at=WHEN, status="answered", inputs=[question]
    )
    await store(visitor, database, turn, asked)

    await visitor.say("second", turn.thread_id)

    assert LONG not in str(model.calls[1].input)


def test_a_text_that_looks_like_a_file_is_counted_as_text() -> None:
    text = "data:image/png;base64," + "A" * 30_000
    assert tokens_of([{"type": "input_text", "text": text}]) > 10_000
    assert tokens_of([{"type": "input_image", "image_url": text}]) < 2_000
