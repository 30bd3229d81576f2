"""The part of the conversation that the model gets."""

import json
from dataclasses import replace
from typing import Any

import pytest
from agents import function_tool
from agents.models.chatcmpl_converter import Converter
from agents.testing import ScriptedModel, assistant_message, function_call
from chatkit.types import CustomTask, FileAttachment, TaskItem

from engine.context.request_context import RequestContext
from engine.database.database import Database
from engine.store.store import MAX_PAGE, SqlStore
from engine.tests import application
from engine.tests.agent.echo import ECHO
from engine.tests.fixtures import Scripted
from engine.turn.progress import MAX_STORED_RESULT


def texts(items: Any) -> list[str]:
    """Roles and texts of an input, in short."""
    lines = []
    for item in items:
        if item["type"] == "message":
            content = item["content"]
            said = content if isinstance(content, str) else "".join(p["text"] for p in content)
            lines.append(f"{item['role']}: {said}")
        else:
            lines.append(f"{item['type']}: {item.get('output') or item.get('arguments')}")
    return lines


async def test_the_model_hears_the_whole_conversation_with_its_tool_calls(
    with_model: Scripted,
) -> None:
    model = ScriptedModel(
        [
            [function_call("shout", {"text": "hi"}, call_id="call_1")],
            [assistant_message("It was loud.")],
            [assistant_message("Yes.")],
        ]
    )
    visitor = await with_model(model)
    turn = await visitor.say("shout hi")
    await visitor.say("Was it loud?", turn.thread_id)

    heard = model.calls[2].input
    assert texts(heard) == [
        "user: shout hi",
        'function_call: {"text":"hi"}',
        f"function_call_output: HI! ({visitor.user_id})",
        "assistant: It was loud.",
        "user: Was it loud?",
    ]
    call, output = heard[1], heard[2]
    assert call["call_id"] == output["call_id"] == "call_1"
    assert not any("id" in item for item in heard)


async def test_both_apis_take_the_conversation_back(with_model: Scripted) -> None:
    model = ScriptedModel([[assistant_message("Hello.")], [assistant_message("Still here.")]])
    visitor = await with_model(model)
    turn = await visitor.say("hi")
    await visitor.say("Are you there?", turn.thread_id)

    messages = Converter.items_to_messages(model.calls[1].input)
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert dict(messages[1])["content"] == "Hello."


async def test_tool_calls_are_never_sent_to_the_page(with_model: Scripted) -> None:
    visitor = await with_model(
        ScriptedModel(
            [[function_call("shout", {"text": "hi"}, call_id="1")], [assistant_message("ok")]]
        )
    )
    turn = await visitor.say("go")

    page = json.dumps(await visitor.items(turn.thread_id))
    assert "function_call" not in page
    assert "function_call" not in json.dumps(turn.events)


async def test_the_window_is_bounded_by_tokens_and_begins_with_the_user(
    with_model: Scripted,
) -> None:
    model = ScriptedModel([[assistant_message("a" * 3_000)] for _ in range(4)])
    visitor = await with_model(model, history_tokens=2_500)
    turn = await visitor.say("first")
    for text in ("second", "third", "fourth"):
        await visitor.say(text, turn.thread_id)

    heard = texts(model.calls[3].input)
    assert heard[0] == "user: second" or heard[0] == "user: third"
    assert heard[-1] == "user: fourth"
    assert len(heard) in {3, 5}


async def test_the_newest_message_is_kept_however_long_it_is(with_model: Scripted) -> None:
    model = ScriptedModel([[assistant_message("ok")], [assistant_message("ok")]])
    visitor = await with_model(model, history_tokens=1_000, message_chars=50_000)
    turn = await visitor.say("short")
    await visitor.say("long " * 5_000, turn.thread_id)

    [heard] = texts(model.calls[1].input)
    assert heard == "user: " + "long " * 5_000


async def test_a_mention_reaches_the_model_with_its_data(with_model: Scripted) -> None:
    model = ScriptedModel([[assistant_message("ok")]])
    visitor = await with_model(model)
    await visitor.stream(
        "threads.create",
        input={
            "content": [
                {"type": "input_text", "text": "What about "},
                {"type": "input_tag", "id": "doc_1", "text": "Plan", "data": {"page": 3}},
            ],
            "attachments": [],
            "inference_options": {},
        },
    )

    heard = texts(model.calls[0].input)
    assert heard[0] == "user: What about @Plan"
    assert 'Plan: {"id": "doc_1", "page": 3}' in heard[1]


async def test_more_than_one_page_of_history_is_heard(
    with_model: Scripted, database: Database
) -> None:
    model = ScriptedModel([[assistant_message("ok")], [assistant_message("ok")]])
    visitor = await with_model(model)
    turn = await visitor.say("first")
    store, owner = SqlStore(database), RequestContext(visitor.user_id)
    first = await store.load_item(turn.thread_id, turn.user_message_id, owner)
    for number in range(MAX_PAGE):
        copy = first.model_copy(update={"id": f"copy_{number}"})
        await store.add_thread_item(turn.thread_id, copy, owner)

    await visitor.say("last", turn.thread_id)

    assert len(model.calls[1].input) == 1 + 1 + MAX_PAGE + 1


async def test_an_attachment_is_named_and_a_task_is_not_told(
    with_model: Scripted, database: Database
) -> None:
    model = ScriptedModel([[assistant_message("ok")], [assistant_message("ok")]])
    visitor = await with_model(model)
    turn = await visitor.say("first")
    store, owner = SqlStore(database), RequestContext(visitor.user_id)
    first = await store.load_item(turn.thread_id, turn.user_message_id, owner)
    file = FileAttachment(id="atc_1", name="a.txt", mime_type="text/plain")
    task = TaskItem(
        id="tsk_1",
        thread_id=turn.thread_id,
        created_at=first.created_at,
        task=CustomTask(title="only for people"),
    )
    await store.save_item(
        turn.thread_id, first.model_copy(update={"id": "msg_a", "attachments": [file]}), owner
    )
    await store.save_item(turn.thread_id, task, owner)

    await visitor.say("last", turn.thread_id)

    heard = str(model.calls[1].input)
    assert "[attached: a.txt, " in heard
    assert "only for people" not in heard


async def test_a_long_result_is_cut_when_it_is_kept(
    with_model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    @function_tool
    async def recite(length: int) -> str:
        """Without the bounds of an `agent_function`, as a tool of another library."""
        return "x" * length

    monkeypatch.setattr(application, "TOOLS", (replace(ECHO, functions=(recite,)),))
    model = ScriptedModel(
        [
            [function_call("recite", {"length": MAX_STORED_RESULT + 1}, call_id="1")],
            [assistant_message("ok")],
            [assistant_message("ok")],
        ]
    )
    visitor = await with_model(model)
    turn = await visitor.say("go")
    await visitor.say("again", turn.thread_id)

    [output] = [i["output"] for i in model.calls[2].input if i.get("output")]
    assert output == "x" * MAX_STORED_RESULT
