"""Workarounds for OpenAI-compatible servers: tried after a refusal, and then remembered."""

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import httpx2
import openai
import pytest
from agents import Model, ModelResponse, ModelSettings
from agents.models.interface import ModelTracing

from engine.context.ids import new_id
from engine.demo.model import DemoModel
from engine.models.boundary.inputs import digests_of
from engine.models.boundary.learned import LearnedWorkarounds, Request, Workaround
from engine.models.boundary.model import BoundaryModel, Dialect
from engine.models.boundary.outputs import ItemIds
from engine.tests.agent.fixtures import WithServer
from engine.tests.model_server import (
    Event,
    ModelServer,
    answer,
    called,
    chat_call,
    complete,
    refuse_saying,
    respond,
    thought,
    unless,
)

ENCRYPTED = "reasoning.encrypted_content"
TEXT = '{"text": "x"}'


def bodies(model: ModelServer) -> list[Event]:
    return [exchange.body for exchange in model.exchanges]


# --- Thoughts ---


async def test_encrypted_reasoning_is_sent_back(with_server: WithServer) -> None:
    visitor, model = await with_server()
    model.does(respond(thought(encrypted_content="gAAA"), called("shout", TEXT)))
    await visitor.say("go")

    first, second = bodies(model)
    assert ENCRYPTED in first["include"]
    [kept] = [item for item in second["input"] if item.get("type") == "reasoning"]
    assert kept["encrypted_content"] == "gAAA"


async def test_a_setting_disables_encrypted_reasoning(with_server: WithServer) -> None:
    visitor, model = await with_server(reasoning_encrypted_content=False)
    await visitor.say("go")
    assert ENCRYPTED not in (bodies(model)[0].get("include") or [])


@pytest.mark.parametrize(
    "message", ["Encrypted content is not supported with this model.", "include: unknown value"]
)
async def test_servers_without_encrypted_reasoning(with_server: WithServer, message: str) -> None:
    visitor, model = await with_server()

    def wants(body: Event) -> bool:
        return ENCRYPTED in (body.get("include") or [])

    refusal = unless(wants, refuse_saying(400, message), answer("wrong"))
    model.does(refusal)
    turn = await visitor.say("go")

    assert turn.answer == "All is well."
    assert list(map(wants, bodies(model))) == [True, False]
    await visitor.say("and?", turn.thread_id)
    assert list(map(wants, bodies(model))) == [True, False, False]


async def test_a_server_without_stored_items_gets_no_references(
    with_server: WithServer,
) -> None:
    visitor, model = await with_server()
    refusal = refuse_saying(
        404, "Item with id 'rs_1' not found. Items are not persisted when `store` is false."
    )
    model.does(respond(thought(), called("shout", TEXT)), refusal)

    assert (await visitor.say("go")).answer == "All is well."
    last = bodies(model)[-1]["input"]
    assert [item for item in last if item.get("type") == "reasoning" or "id" in item] == []


def lacks_thoughts(body: Event) -> bool:
    return any(m.get("tool_calls") and not m.get("reasoning_content") for m in body["messages"])


async def test_reasoning_is_sent_back_with_its_calls(with_server: WithServer) -> None:
    visitor, model = await with_server(openai_api="chat_completions", model="deepseek-v9")
    model.does(
        complete(
            {"reasoning_content": "Look first."},
            chat_call("shout", TEXT, "1", 0),
            chat_call("shout", TEXT, "2", 1),
            finish_reason="tool_calls",
        )
    )
    turn = await visitor.say("go")
    await visitor.say("and?", turn.thread_id)

    assert len(model.exchanges) == 3
    assert not any(map(lacks_thoughts, bodies(model)))
    assert "Look first." in str(bodies(model)[-1])


async def test_reasoning_is_not_sent_to_another_model(with_server: WithServer) -> None:
    visitor, model = await with_server(
        openai_api="chat_completions", models=("deepseek-v9", "other")
    )
    call = chat_call("shout", TEXT)
    model.does(complete({"reasoning_content": "Hm."}, call, finish_reason="tool_calls"))
    turn = await visitor.say("go", model="deepseek-v9")
    await visitor.say("and?", turn.thread_id, model="other")
    assert "Hm." not in str(bodies(model)[-1])
    await visitor.say("and you?", turn.thread_id, model="deepseek-v9")
    assert "Hm." in str(bodies(model)[-1])


async def test_reasoning_of_chat_completions_is_not_sent_to_the_responses_api(
    with_server: WithServer,
) -> None:
    chat = {"openai_api": "chat_completions", "model": "deepseek-v9"}
    visitor, model = await with_server(**chat)
    call = chat_call("shout", TEXT)
    model.does(complete({"reasoning_content": "Hm."}, call, finish_reason="tool_calls"))
    thread_id = (await visitor.say("go")).thread_id
    moved, responses = await with_server()
    moved.client.headers = visitor.client.headers
    await moved.say("and?", thread_id)
    sent = bodies(responses)[-1]["input"]
    assert "reasoning" not in [item.get("type") for item in sent]
    assert "function_call" in [item.get("type") for item in sent]


async def test_a_server_that_requires_reasoning_that_was_not_kept(with_server: WithServer) -> None:
    visitor, model = await with_server(openai_api="chat_completions")
    message = "The `reasoning_content` in the thinking mode must be passed back to the API."
    call = complete(chat_call("shout", TEXT), finish_reason="tool_calls")
    model.does(call, unless(lacks_thoughts, refuse_saying(400, message), answer("wrong")))

    assert (await visitor.say("go")).answer.strip() == "All is well."
    assert not lacks_thoughts(bodies(model)[-1])


# --- Dialects of Chat Completions ---


async def test_a_server_that_refuses_stream_options(with_server: WithServer) -> None:
    visitor, model = await with_server(openai_api="chat_completions")
    model.does(refuse_saying(422, "stream_options: extra inputs are not permitted"))
    turn = await visitor.say("go")
    await visitor.say("and?", turn.thread_id)

    asked = ["stream_options" in body for body in bodies(model)]
    assert asked == [True, False, False]


async def test_stream_options_can_be_switched_off(with_server: WithServer) -> None:
    visitor, model = await with_server(
        openai_api="chat_completions", stream_options=False, title_model="small"
    )
    await visitor.say("go")
    assert ["stream_options" in body for body in bodies(model)] == [False, False]


def roles(body: Event) -> list[str]:
    return [message["role"] for message in body["messages"] if message["role"] != "system"]


def does_not_alternate(body: Event) -> bool:
    return any(a == b for a, b in zip(roles(body), roles(body)[1:], strict=False))


async def test_a_server_that_requires_alternating_roles(with_server: WithServer) -> None:
    visitor, model = await with_server(openai_api="chat_completions", model_retries=0)
    message = "Conversation roles must alternate user/assistant/user/assistant/..."
    call = complete(
        {"content": "Let me see."}, chat_call("shout", TEXT), finish_reason="tool_calls"
    )
    model.does(refuse_saying(500, "oops"), call)
    thread_id = (await visitor.say("one")).thread_id
    await visitor.say("two", thread_id)
    model.does(unless(does_not_alternate, refuse_saying(400, message), answer("wrong")))

    turn = await visitor.say("three", thread_id)

    assert turn.answer.strip() == "All is well."
    last = bodies(model)[-1]
    assert not does_not_alternate(last)
    assert all(text in str(last) for text in ("one", "two", "Let me see.", "three"))


async def test_a_refusal_without_a_workaround_is_reported(with_server: WithServer) -> None:
    visitor, model = await with_server()
    model.does(*[refuse_saying(400, "include: unknown value")] * 2)
    turn = await visitor.say("go")
    assert turn.error is not None
    assert len(model.exchanges) == 2


# --- Files ---

PICTURE = {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64,AAAA"}
OTHER = {**PICTURE, "image_url": "data:image/png;base64,BBBB"}
PDF = {"type": "input_file", "filename": "plan.pdf", "file_data": "data:application/pdf;base64,C"}


class Blind(Model):
    """A model that refuses input for which `is_refused` is true."""

    def __init__(self, is_refused: Callable[[Any], bool]) -> None:
        self.asked: list[Any] = []
        self._is_refused = is_refused

    async def stream_response(  # type: ignore[override]
        self, _instructions: Any, input: Any, *args: Any, **kwargs: Any
    ) -> AsyncIterator[Any]:
        self.asked.append(input)
        if self._is_refused(input):
            response: Any = httpx2.Response(
                400, request=httpx2.Request("POST", "http://model.test")
            )
            message = f"reason {len(self.asked)}"
            raise openai.BadRequestError(message, response=response, body=None)
        async for event in DemoModel(0).stream_response(None, "hello", *args, **kwargs):
            yield event

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        raise NotImplementedError


async def ask(model: Model, learned: LearnedWorkarounds, *messages: Any) -> BoundaryModel:
    boundary = BoundaryModel(model, Dialect(True, learned=learned), ItemIds(new_id))
    rest: dict[str, Any] = {"previous_response_id": None, "conversation_id": None, "prompt": None}
    stream = boundary.stream_response(
        None, [*messages], ModelSettings(), [], None, [], ModelTracing.DISABLED, **rest
    )
    async for _ in stream:
        pass
    return boundary


def saying(*parts: Any) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "input_text", "text": "Look:"}, *parts]}


def has(*refused: Any) -> Callable[[Any], bool]:
    return lambda input: any(part in [*item["content"]] for item in input for part in refused)


async def test_refused_files_are_replaced_with_mentions() -> None:
    model, learned = Blind(has(PICTURE, PDF)), LearnedWorkarounds()
    boundary = await ask(model, learned, saying(PICTURE, PDF))

    refused, taken = model.asked
    assert PICTURE in refused[0]["content"]
    texts = [part["text"] for part in taken[0]["content"]]
    assert texts[1:] == [
        "[attached: picture, which this model cannot take]",
        "[attached: plan.pdf, which this model cannot take]",
    ]
    assert boundary.remarks.refused_files


async def test_a_refused_file_is_not_sent_again() -> None:
    model, learned = Blind(has(PICTURE)), LearnedWorkarounds()
    await ask(model, learned, saying(PICTURE))
    answered = {"role": "assistant", "content": "I see nothing."}
    later = await ask(model, learned, saying(PICTURE), answered, saying())
    again = await ask(model, learned, saying(PICTURE))

    assert sum(map(has(PICTURE), model.asked)) == 1
    assert not later.remarks.refused_files  # the user was informed when the file was sent
    assert again.remarks.refused_files


async def test_an_accepted_file_is_kept_when_another_is_refused() -> None:
    model, learned = Blind(has(OTHER)), LearnedWorkarounds()
    await ask(model, learned, saying(PICTURE))
    await ask(model, learned, saying(PICTURE), saying(OTHER))

    assert has(PICTURE)(model.asked[-1])
    assert not has(OTHER)(model.asked[-1])


async def test_other_refusals_do_not_mark_files_as_refused() -> None:
    model, learned = Blind(lambda _input: True), LearnedWorkarounds()
    with pytest.raises(openai.BadRequestError, match="reason 1"):
        await ask(model, learned, saying(PICTURE))
    assert len(model.asked) == 2
    seeing = Blind(lambda _input: False)
    await ask(seeing, learned, saying(PICTURE))
    assert has(PICTURE)(seeing.asked[0])


async def test_reasoning_of_another_turn_is_not_sent_to_the_responses_api() -> None:
    model = Blind(lambda _input: False)
    thought_before = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]}
    await ask(model, LearnedWorkarounds(), thought_before, saying())
    assert "Hm." not in str(model.asked)


async def test_workarounds_are_remembered_for_each_model() -> None:
    await ask(Blind(has(PICTURE)), LearnedWorkarounds(), saying(PICTURE))
    seeing = Blind(lambda _input: False)
    await ask(seeing, LearnedWorkarounds(), saying(PICTURE))
    assert has(PICTURE)(seeing.asked[0])


def test_a_refused_file_in_a_merged_message_is_replaced() -> None:
    """Files are identified by the `id()` of their parts, which other workarounds must keep."""
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    items: Any = [
        {"role": "user", "content": [picture]},
        {"role": "user", "content": "What is it?"},
    ]
    request = Request(items, ModelSettings(), False, digests_of(items))
    tried = frozenset({Workaround.ALTERNATING_ROLES, Workaround.NO_REFUSED_FILES})

    sent = LearnedWorkarounds().apply(request, tried)

    [message] = cast("list[dict[str, Any]]", sent.input)
    assert [part["type"] for part in message["content"]] == ["input_text", "input_text"]
    assert not sent.has_files
