"""The text of an answer is valid Unicode without thoughts, however the server splits it."""

import json

import pytest

from engine.tests.agent.fixtures import WithServer
from engine.tests.model_server import (
    Behaviour,
    answer,
    called,
    chat_call,
    complete,
    cut,
    of_model,
    respond,
    said,
)
from engine.text.unicode import TextJoiner, valid_unicode

HIGH, LOW = "\ud83d", "\ude00"  # the halves of 😀
APIS = ["responses", "chat_completions"]


def says(api: str, *deltas: str) -> Behaviour:
    if api == "responses":
        return respond(said(*deltas))
    return complete(*({"content": delta} for delta in deltas))


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("deltas", "text"),
    [
        (["Hi ", HIGH, LOW, "!"], "Hi 😀!"),
        (["Hi " + HIGH, LOW + "!"], "Hi 😀!"),
        (["Hi ", HIGH, "!"], "Hi \ufffd!"),
        (["Hi ", LOW + "!"], "Hi \ufffd!"),
        (["Hi ", HIGH], "Hi \ufffd"),
        (["\n", " ", "Hi"], "\n Hi"),
    ],
)
async def test_split_surrogate_pairs(
    with_server: WithServer, api: str, deltas: list[str], text: str
) -> None:
    visitor, model = await with_server(openai_api=api)
    model.does(says(api, *deltas))

    turn = await visitor.say("hello")

    assert turn.error is None
    assert turn.answer == text
    stored = await visitor.items(turn.thread_id)
    assert stored[-1]["content"][0]["text"] == text
    await visitor.say("and?", turn.thread_id)
    assert json.dumps(text)[1:-1] in json.dumps(model.exchanges[-1].body)


@pytest.mark.parametrize("api", APIS)
async def test_split_surrogate_pairs_in_a_refusal(with_server: WithServer, api: str) -> None:
    visitor, model = await with_server(openai_api=api)
    deltas = ["No ", HIGH, LOW]
    model.does(
        respond(said(*deltas, kind="refusal"))
        if api == "responses"
        else complete(*({"refusal": delta} for delta in deltas))
    )
    assert (await visitor.say("hello")).answer == "No 😀"


@pytest.mark.parametrize("api", APIS)
async def test_lone_surrogates_in_the_arguments_of_a_call(
    with_server: WithServer, api: str
) -> None:
    visitor, model = await with_server(openai_api=api)
    arguments = r'{"text": "a\ud83d\ude00 b\ud83d"}'
    model.does(
        respond(called("shout", arguments))
        if api == "responses"
        else complete(chat_call("shout", arguments), finish_reason="tool_calls")
    )
    turn = await visitor.say("hello")

    assert turn.error is None
    assert model.exchanges[1].results[0].startswith("A😀 B\ufffd!")


async def test_lone_surrogates_in_a_title(with_server: WithServer) -> None:
    visitor, model = await with_server(title_model="small", model="large")
    both = of_model(small=says("responses", "On ", HIGH, LOW), large=answer("Yes.", pause=0.5))
    model.does(both, both)
    turn = await visitor.say("What is a smile?")

    titles = [e["thread"]["title"] for e in turn.events if e["type"] == "thread.updated"]
    assert titles[-1] == "On 😀"


@pytest.mark.parametrize("api", APIS)
async def test_an_interrupted_text_with_lone_surrogates_is_stored(
    with_server: WithServer, api: str
) -> None:
    visitor, model = await with_server(openai_api=api)
    model.does(answer(f"One {HIGH} two {HIGH}", then=cut))

    turn = await visitor.say("hello")

    assert turn.error is not None
    assert turn.answer == "One \ufffd two \ufffd"
    stored = await visitor.items(turn.thread_id)
    assert stored[-1]["content"][0]["text"] == "One \ufffd two \ufffd"


@pytest.mark.parametrize("api", APIS)
async def test_thoughts_are_removed_from_an_answer(with_server: WithServer, api: str) -> None:
    visitor, model = await with_server(openai_api=api)
    model.does(says(api, "<th", "ink>\nHm.", "</think>", "\n\nIt is ", "Paris."))

    turn = await visitor.say("hello")

    assert turn.answer == "It is Paris."
    assert "Hm." not in str(turn.events)


def test_valid_text_is_unchanged() -> None:
    for text in ("", "abc", "ä😀", "\u2028"):
        assert valid_unicode(text) == text
    assert valid_unicode(LOW + HIGH) == "\ufffd\ufffd"


def test_a_joiner_holds_back_at_most_one_surrogate() -> None:
    joiner = TextJoiner()
    assert [joiner.feed(HIGH), joiner.feed(HIGH), joiner.feed(LOW + "x")] == ["", "\ufffd", "😀x"]
    assert joiner.finish() == ""
