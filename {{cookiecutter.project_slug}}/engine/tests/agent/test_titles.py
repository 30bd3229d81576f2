"""Titles by a small model, beside the answer. The network is real."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import select

from engine.database.database import Database
from engine.database.rows import RunRow
from engine.demo.model import DemoModel
from engine.models import titles as agent_titles
from engine.models.titles import MESSAGE_CHARS, TitleWriter, plain_title
from engine.tests.agent.fixtures import WithServer
from engine.tests.application import create_app
from engine.tests.fixtures import Scripted, serving, visiting
from engine.tests.model_server import (
    CANARY,
    Behaviour,
    Exchange,
    answer,
    cut,
    of_model,
    refuse,
    silence,
)
from engine.tests.talk import PATIENCE_SECONDS, Event, Turn, Visitor, is_text, message
from engine.text.title_text import MAX_TITLE_CHARS

QUESTION = "How many people live in Paris, in London and in Rome together?"
CUT = "How many people live in Paris, in London and in..."
NAMES = {"model": "large", "title_model": "small"}


class Titled:
    """A title, and an answer that does not end before it could have been taken."""

    def __init__(self, title: str, *, pause: float = 0) -> None:
        self.exchanges: dict[str, Exchange] = {}
        self._said = asyncio.Event()
        self._title = answer(title, pause=pause)
        self._answer = answer(
            "Some ten words that come one by one, you see.", after=self._said, pause=0.02
        )

    async def __call__(self, exchange: Exchange) -> None:
        self.exchanges[exchange.body["model"]] = exchange
        if exchange.body["model"] == "large":
            await self._answer(exchange)
        else:
            try:
                await self._title(exchange)
            finally:
                self._said.set()


def titles(turn: Turn) -> list[str]:
    """The titles of the thread that were sent, in order."""
    return [e["thread"]["title"] for e in turn.events if e["type"] == "thread.updated"]


async def title_of(visitor: Visitor, thread_id: str) -> str:
    response = await visitor.send("threads.get_by_id", thread_id=thread_id)
    title: str = response.json()["title"]
    return title


async def used(database: Database, visitor: Visitor) -> list[tuple[int, int]]:
    statement = select(RunRow.tokens_in, RunRow.tokens_out).where(RunRow.user_id == visitor.user_id)
    return [tuple(row) for row in await database.fetch(visitor.user_id, statement)]


@pytest.mark.parametrize("api", ["responses", "chat_completions"])
async def test_a_small_model_writes_the_title_while_the_answer_is_written(
    with_server: WithServer, database: Database, api: str
) -> None:
    visitor, model = await with_server(**NAMES, openai_api=api)
    model.does(both := Titled('**"People of three cities"**'), both)

    turn = await visitor.say(QUESTION)

    assert titles(turn) == [CUT, "People of three cities"]
    assert turn.types.index("thread.updated") < turn.types.index("thread.item.updated")
    assert turn.answer.endswith("you see.")
    assert await title_of(visitor, turn.thread_id) == "People of three cities"
    asked = both.exchanges["small"].body
    assert QUESTION in str(asked)
    assert not asked.get("tools")
    assert await used(database, visitor) == [(20, 10)]

    await visitor.say("And in Madrid?", turn.thread_id)
    assert len(model.exchanges) == 3  # it has its title


async def test_without_one_the_title_is_cut_from_the_message(with_server: WithServer) -> None:
    visitor, model = await with_server(model="large")
    turn = await visitor.say(QUESTION)
    assert titles(turn) == [CUT]
    assert len(model.exchanges) == 1


@pytest.mark.parametrize("says", ["", " \n**", "“”"])
async def test_a_title_that_says_nothing_is_none(with_server: WithServer, says: str) -> None:
    visitor, model = await with_server(**NAMES)
    model.does(both := Titled(says), both)
    turn = await visitor.say(QUESTION)
    assert titles(turn) == [CUT]
    assert await title_of(visitor, turn.thread_id) == CUT


async def test_thoughts_are_no_title(with_server: WithServer) -> None:
    visitor, model = await with_server(**NAMES)
    thought = "Okay, the user asks for a title. " * 200
    model.does(both := Titled(f"<think>\n{thought}\n</think>\n\nThree cities"), both)

    turn = await visitor.say(QUESTION)

    assert titles(turn) == [CUT, "Three cities"]


async def test_a_thought_that_does_not_end_is_cut_and_no_title(
    with_server: WithServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_titles, "THOUGHT_CHARS", 500)
    visitor, model = await with_server(**NAMES)
    model.does(both := Titled("<think>" + "Okay, the user asks. " * 5_000), both)

    turn = await visitor.say(QUESTION)

    assert both.exchanges["small"].left.is_set()
    assert titles(turn) == [CUT]
    assert await title_of(visitor, turn.thread_id) == CUT


@pytest.mark.parametrize("fails", [refuse(401), refuse(500), answer("So", then=cut)])
async def test_one_that_fails_costs_the_title_alone(
    with_server: WithServer, fails: Behaviour, capfd: pytest.CaptureFixture[str]
) -> None:
    visitor, model = await with_server(**NAMES, model_retries=0)
    behaves = of_model(small=fails, large=answer("All of the answer.", pause=0.05))
    model.does(behaves, behaves)

    turn = await visitor.say(QUESTION)

    assert (turn.answer, turn.error) == ("All of the answer.", None)
    assert await title_of(visitor, turn.thread_id) == CUT
    assert CANARY not in str(turn.events)
    assert "a title could not be written" in capfd.readouterr().err


async def test_a_slow_one_is_not_waited_for(with_server: WithServer, database: Database) -> None:
    visitor, model = await with_server(**NAMES)
    behaves = of_model(small=silence, large=answer("Done."))
    model.does(behaves, behaves)

    turn = await visitor.say(QUESTION)

    assert turn.answer == "Done."
    slow = next(e for e in model.exchanges if e.body["model"] == "small")
    async with asyncio.timeout(PATIENCE_SECONDS):
        await slow.left.wait()
    assert await title_of(visitor, turn.thread_id) == CUT
    [(tokens_in, tokens_out)] = await used(database, visitor)
    assert tokens_in > 10 + len(QUESTION) // 3  # what was asked is estimated
    assert tokens_out == 5


async def test_a_retry_of_the_first_message_tries_again(with_server: WithServer) -> None:
    visitor, model = await with_server(**NAMES)
    behaves = of_model(small=refuse(401), large=answer("First."))
    model.does(behaves, behaves, both := Titled("People of three cities"), both)
    turn = await visitor.say(QUESTION)
    assert await title_of(visitor, turn.thread_id) == CUT

    retried = await visitor.stream(
        "threads.retry_after_item", thread_id=turn.thread_id, item_id=turn.user_message_id
    )

    assert titles(retried) == ["People of three cities"]


async def listened(visitor: Visitor, heard: asyncio.Event) -> list[Event]:
    """All events of a new conversation; `heard` when the answer has begun."""
    events = []
    async for event in visitor.listen("threads.create", input=message(QUESTION)):
        events.append(event)
        if is_text(event):
            heard.set()
    return events


async def test_what_the_user_calls_it_stays(with_server: WithServer) -> None:
    visitor, model = await with_server(**NAMES)
    renamed, heard = asyncio.Event(), asyncio.Event()
    both = Titled("People of three cities")

    async def waits(exchange: Exchange) -> None:
        if exchange.body["model"] == "small":
            await renamed.wait()
        await both(exchange)

    model.does(waits, waits)
    listening = asyncio.create_task(listened(visitor, heard))
    await heard.wait()
    [thread] = (await visitor.send("threads.list")).json()["data"]
    await visitor.send("threads.update", thread_id=thread["id"], title="Mine")
    renamed.set()
    turn = Turn(await listening)

    assert turn.types[-1] == "thread.item.done"
    assert titles(turn) == [CUT]
    assert await title_of(visitor, turn.thread_id) == "Mine"


async def test_a_stop_ends_it_too(with_server: WithServer) -> None:
    visitor, model = await with_server(**NAMES)
    behaves = of_model(small=silence, large=answer("Never ends.", after=asyncio.Event()))
    model.does(behaves, behaves)
    heard = asyncio.Event()
    listening = asyncio.create_task(listened(visitor, heard))
    await heard.wait()
    [thread] = (await visitor.send("threads.list")).json()["data"]
    run = (await visitor.client.get(f"/chatkit/threads/{thread['id']}/run")).json()["run"]
    await visitor.client.post(f"/chatkit/runs/{run['id']}/stop")
    await listening

    async with asyncio.timeout(PATIENCE_SECONDS):
        for exchange in model.exchanges:
            await exchange.left.wait()
    assert await title_of(visitor, thread["id"]) == CUT


async def test_one_that_does_not_end_is_cut(with_server: WithServer) -> None:
    visitor, model = await with_server(**NAMES)
    model.does(both := Titled("A title that goes on and on " * 100, pause=0.002), both)
    turn = await visitor.say(QUESTION)
    assert both.exchanges["small"].left.is_set()  # nobody waited for the rest of it
    title = await title_of(visitor, turn.thread_id)
    assert turn.answer.endswith("you see.")
    assert title.startswith("A title that goes on and on")
    assert len(title) == MAX_TITLE_CHARS


async def test_one_that_says_nothing_is_given_up(
    with_server: WithServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_titles, "TITLE_SECONDS", 0.2)
    given_up = asyncio.Event()

    async def waits(exchange: Exchange) -> None:
        try:
            await silence(exchange)
        finally:
            given_up.set()

    visitor, model = await with_server(**NAMES)
    behaves = of_model(small=waits, large=answer("An answer. " * 20, after=given_up))
    model.does(behaves, behaves)
    async with asyncio.timeout(PATIENCE_SECONDS):
        turn = await visitor.say(QUESTION)
    assert turn.error is None
    assert titles(turn) == [CUT]


async def test_of_a_long_message_it_reads_the_beginning(with_server: WithServer) -> None:
    visitor, model = await with_server(**NAMES)
    model.does(both := Titled("Long"), both)
    await visitor.say("long " * MESSAGE_CHARS)
    assert len(str(both.exchanges["small"].body["input"])) < MESSAGE_CHARS + 200


async def test_it_is_taken_once() -> None:
    writer = TitleWriter(DemoModel(0), "what is a title?", tracing=False)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (title := writer.take()) is None:  # noqa: ASYNC110 (it is asked at each event)
            await asyncio.sleep(0.01)
    assert title == "What Is A Title?"
    assert writer.take() is None


async def test_the_demo_model_writes_titles_too(with_model: Scripted, settings: Any) -> None:

    changed = settings.model_copy(update={"title_model": "any", "demo_delay_seconds": 0.01})
    async with serving(create_app(changed)) as url, visiting(url, changed) as visitor:
        turn = await visitor.say("what is a title?")
    assert titles(turn) == ["what is a title?", "What Is A Title?"]


@pytest.mark.parametrize(
    ("said", "title"),
    [
        ("Rome", "Rome"),
        ("\n\n  ## Rome \nand more", "Rome"),
        ("- **Rome** and `London`", "Rome and London"),
        ("<b onclick='x'>Rome</b><script>", "Rome"),
        ("“Rome”", "Rome"),
        ("「ローマ」", "ローマ"),
        ("Ro\u202eme\x00 \t x", "Rome x"),
        ("\u2067**Rome**\u2069", "Rome"),
        ("x" * 50, "x" * 50),
        ("x" * 51, "x" * 47 + "..."),
        ("***\n", None),
        ("\u200e\u061c\u200b", None),
        ("<think>\nA city.\n</think>\n\nRome", "Rome"),
        ("<think>A city.</think><think>Which?</think>**Rome**", "Rome"),
        ("A city.</think>\nRome", "Rome"),
        ("Title: <thinking>A city.</thinking> Rome", "Rome"),
        ("Rome <think>or not", "Rome"),
        ("<think>A city. Which", None),
    ],
)
def test_a_title_is_one_plain_line(said: str, title: str | None) -> None:
    assert plain_title(said) == title
