"""Faults of a model's server, and the messages that users then see. The network is real."""

import asyncio
import time
from contextlib import aclosing

import pytest

from engine.tests.agent.fixtures import WithServer
from engine.tests.model_server import (
    CANARY,
    ERROR,
    ERROR_OBJECT,
    FAILED,
    INCOMPLETE,
    Behaviour,
    answer,
    cut,
    end_early,
    garbage,
    refuse,
    silence,
)
from engine.tests.talk import PATIENCE_SECONDS, Turn, message

BUSY = "The model is busy right now. Please try again in a moment."
AWAY = "The model cannot be reached right now. Please try again in a moment."
SLOW = "The model took too long to answer. Please try again."
BROKE_OFF = "The model broke off its answer. Please try again."
REFUSED = "The model refused this server's credentials. Please tell its operator."

APIS = ["responses", "chat_completions"]


def told(turn: Turn) -> tuple[str, bool]:
    """The error's words and whether it may be retried; nothing of the provider's is in the turn."""
    assert CANARY not in str(turn.events)
    assert turn.error is not None
    assert turn.types[-1] == "error"
    return turn.error["message"], turn.error["allow_retry"]


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_refusal_that_passes_is_not_seen(
    with_server: WithServer, status: int, api: str
) -> None:
    visitor, model = await with_server(openai_api=api)
    model.does(refuse(status, retry_after_ms="10"), answer("Here I am."))

    turn = await visitor.say("hello")

    assert turn.answer == "Here I am."
    assert turn.error is None
    assert len(model.exchanges) == 2


@pytest.mark.parametrize("retries", [0, 1])
@pytest.mark.parametrize(("status", "words"), [(429, BUSY), (500, AWAY), (503, AWAY)])
async def test_a_refusal_that_stays_is_told(
    with_server: WithServer, status: int, words: str, retries: int
) -> None:
    visitor, model = await with_server(model_retries=retries)
    model.does(*[refuse(status, retry_after_ms="10")] * 3)

    assert told(await visitor.say("hello")) == (words, True)
    assert len(model.exchanges) == retries + 1


async def test_a_retry_waits_as_long_as_the_server_asks(with_server: WithServer) -> None:
    visitor, model = await with_server()
    model.does(refuse(429, Retry_After="1"), answer("Here I am."))
    await visitor.say("hello")

    first, second = model.exchanges
    assert second.at - first.at >= 1


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, None, REFUSED),
        (403, None, REFUSED),
        (404, None, "The model could not take this request."),
        (400, None, "The model could not take this request."),
        (
            429,
            "insufficient_quota",
            "This server has used up its account. Please tell its operator.",
        ),
    ],
)
async def test_what_no_retry_can_help(
    with_server: WithServer, status: int, code: str | None, words: str
) -> None:
    visitor, model = await with_server(model_retries=0)
    model.does(refuse(status, code))

    assert told(await visitor.say("hello")) == (words, False)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize(
    ("breaks", "words"),
    [
        (cut, AWAY),
        (silence, SLOW),
        (garbage, "Something went wrong while answering. Please try again."),
        (ERROR_OBJECT, BROKE_OFF),
    ],
    ids=["cut", "silence", "garbage", "error"],
)
async def test_an_answer_that_breaks_keeps_its_text(
    with_server: WithServer, breaks: Behaviour, words: str, api: str
) -> None:
    visitor, model = await with_server(openai_api=api, model_timeout_seconds=2)
    model.does(answer("One two three", then=breaks), answer("Better."))
    began = time.monotonic()

    turn = await visitor.say("hello")

    assert time.monotonic() - began < PATIENCE_SECONDS
    assert told(turn) == (words, True)
    assert turn.answer == "One two three"
    stored = await visitor.items(turn.thread_id)
    assert [item["type"] for item in stored] == ["user_message", "workflow", "assistant_message"]
    assert stored[2]["content"][0]["text"] == "One two three"
    # The conversation goes on, and the model sees how far it came.
    assert (await visitor.say("and?", turn.thread_id)).answer == "Better."
    assert "One two three" in str(model.exchanges[1].body)


@pytest.mark.parametrize(
    ("breaks", "words"),
    [(ERROR, BROKE_OFF), (FAILED, AWAY), (INCOMPLETE, BROKE_OFF), (end_early, BROKE_OFF)],
    ids=["error", "failed", "incomplete", "end_early"],
)
async def test_an_answer_that_the_model_ends_keeps_its_text(
    with_server: WithServer, breaks: Behaviour, words: str
) -> None:
    visitor, model = await with_server()
    model.does(answer("One two three", then=breaks))

    turn = await visitor.say("hello")

    assert told(turn) == (words, True)
    assert turn.answer == "One two three"
    assert (await visitor.items(turn.thread_id))[2]["content"][0]["text"] == "One two three"


async def test_a_server_that_never_answers_is_waited_for_once(with_server: WithServer) -> None:
    visitor, model = await with_server(model_timeout_seconds=1.5)
    model.does(*[silence] * 3)

    assert told(await visitor.say("hello")) == (SLOW, True)
    [exchange] = model.exchanges
    await asyncio.wait_for(exchange.left.wait(), PATIENCE_SECONDS)


async def test_the_waits_that_a_server_asks_for_are_part_of_the_time(
    with_server: WithServer,
) -> None:
    visitor, model = await with_server(model_timeout_seconds=0.5)
    model.does(refuse(429, Retry_After="60"))
    began = time.monotonic()

    assert told(await visitor.say("hello")) == (SLOW, True)
    assert time.monotonic() - began < 60


async def test_an_answer_may_take_longer_than_a_silence(with_server: WithServer) -> None:
    visitor, model = await with_server(model_timeout_seconds=3)
    model.does(answer("one two three four five", pause=0.7))

    assert (await visitor.say("hello")).answer == "one two three four five"


@pytest.mark.parametrize("api", APIS)
async def test_comments_are_signs_of_life(with_server: WithServer, api: str) -> None:
    """Proxies and patient servers send them, so that a line stays open."""
    visitor, model = await with_server(openai_api=api, model_timeout_seconds=1.5)
    model.does(answer("one two", comments=5), answer("one two", comments=5, then=silence))

    assert (await visitor.say("hello")).answer == "one two"
    turn = await visitor.say("hello")
    assert told(turn) == (SLOW, True)
    assert turn.answer == "one two"


async def test_a_server_that_is_not_there(with_server: WithServer) -> None:
    visitor, _ = await with_server(openai_base_url="http://127.0.0.1:9/v1", model_retries=1)

    assert told(await visitor.say("hello")) == (AWAY, True)


@pytest.mark.parametrize("api", APIS)
@pytest.mark.parametrize("when", ["before", "within"])
async def test_stop_is_seen_at_the_models_server(
    with_server: WithServer, when: str, api: str
) -> None:
    visitor, model = await with_server(openai_api=api)
    model.does(silence if when == "before" else answer("one " * 5_000, pause=0.05))
    async with aclosing(visitor.listen("threads.create", input=message("hello"))) as events:
        async for event in events:
            if model.exchanges and (when == "before" or "delta" in event.get("update", {})):
                break
            if event["type"] == "thread.item.added" and when == "before":
                while not model.exchanges:  # noqa: ASYNC110 (it has no event)
                    await asyncio.sleep(0.01)
                break

    await asyncio.wait_for(model.exchanges[0].left.wait(), PATIENCE_SECONDS)
