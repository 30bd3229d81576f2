"""The history keeps its beginning from turn to turn, and says what it left out."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from agents.testing import ScriptedModel, assistant_message
from pydantic import SecretStr
from sqlalchemy import func, select

from engine.context.request_context import RequestContext
from engine.database.database import Database
from engine.database.rows import RunRow
from engine.models.summaries import INSTRUCTIONS
from engine.settings.settings import Settings
from engine.store.store import HISTORY_START, HISTORY_SUMMARY, SqlStore
from engine.tests.cache_share import cached_share
from engine.tests.chat.test_history import texts
from engine.tests.fixtures import CreateApp, Scripted, serving_chat, visiting
from engine.tests.model_server import CANARY, ModelServer, answer, model_server, of_model, refuse
from engine.tests.talk import Visitor, message

TURNS = 60
SMALL = "small"

Talk = Callable[..., Awaitable[tuple[ModelServer, Visitor]]]


@pytest_asyncio.fixture
async def talk(create_app: CreateApp, settings: Settings) -> AsyncIterator[Talk]:
    """The application with a real client of OpenAI's, and the server that it asks."""
    async with AsyncExitStack() as stack:

        async def start(**changes: Any) -> tuple[ModelServer, Visitor]:
            model, url = await stack.enter_async_context(model_server())
            key = {"openai_api_key": SecretStr(CANARY), "openai_base_url": url}
            changed = settings.model_copy(update=key | changes)
            served = await stack.enter_async_context(serving_chat(create_app(changed)))
            return model, await stack.enter_async_context(visiting(served, changed))

        yield start


def bodies(model: ModelServer, name: str | None = None) -> list[dict[str, Any]]:
    return [e.body for e in model.exchanges if name is None or e.body["model"] == name]


async def converse(visitor: Visitor, turns: int, **page: str) -> str:
    turn = await visitor.say("The first question, of so many words as people use. " * 4)
    for number in range(1, turns):
        said = message(f"Question {number}, of so many words as people use. " * 4)
        params = {"thread_id": turn.thread_id, "input": said}
        body = {"type": "threads.add_user_message", "params": params}
        facts = {name: f"{value} {number}" for name, value in page.items()}
        response = await visitor.client.post("/chatkit", json=body | {"metadata": {"page": facts}})
        assert response.status_code == 200
    return turn.thread_id


async def test_of_a_long_conversation_most_is_the_beginning_of_the_request_before(
    talk: Talk,
) -> None:
    model, visitor = await talk(history_tokens=4_000)
    model.does(*[answer("An answer of about as many words as that. " * 5)] * TURNS)

    await converse(visitor, TURNS, order="number")

    asked = bodies(model)
    assert len(asked) == TURNS
    assert cached_share(asked) >= 0.8
    # It has been cut, in large steps, each at a message of the user.
    first = [texts(body["input"])[0] for body in asked]
    assert 2 < len(set(first)) <= TURNS / 8
    assert all(line.startswith("user: ") for line in first)


async def test_half_of_the_budget_is_kept_when_it_is_full(
    with_model: Scripted, database: Database
) -> None:
    model = ScriptedModel([[assistant_message("a" * 300)] for _ in range(12)])
    visitor = await with_model(model, history_tokens=1_000)
    turn = await visitor.say("0")
    for number in range(1, 12):
        await visitor.say(str(number), turn.thread_id)

    lengths = [len(call.input) for call in model.calls]
    # Each answer has about 110 tokens, with its message 150.
    grown = [1, 3, 5, 7, 9, 11, 13]
    assert lengths[:6] == grown[:6]
    cut = next(n for n in range(1, 12) if lengths[n] < lengths[n - 1])
    assert lengths[cut] <= (lengths[cut - 1] + 3) / 2
    assert lengths[cut + 1] == lengths[cut] + 2  # and it grows again from there

    thread = await SqlStore(database).load_thread(turn.thread_id, RequestContext(visitor.user_id))
    start = thread.metadata[HISTORY_START]
    said = {
        i["id"]: i["content"][0]["text"]
        for i in await visitor.items(turn.thread_id)
        if i["type"] == "user_message"
    }
    assert texts(model.calls[-1].input)[0] == f"user: {said[start]}"


async def test_a_beginning_that_is_gone_is_no_obstacle(
    with_model: Scripted, database: Database
) -> None:
    model = ScriptedModel([[assistant_message("a" * 300)] for _ in range(9)])
    visitor = await with_model(model, history_tokens=1_000)
    turn = await visitor.say("0")
    store, owner = SqlStore(database), RequestContext(visitor.user_id)
    await store.save_metadata(turn.thread_id, {HISTORY_START: "msg_gone"}, owner)
    for number in range(1, 9):
        await visitor.say(str(number), turn.thread_id)

    assert texts(model.calls[1].input)[0] == "user: 0"
    assert texts(model.calls[-1].input)[-1] == "user: 8"
    assert max(len(call.input) for call in model.calls) < 17


async def test_where_it_begins_is_shown_to_nobody(talk: Talk, database: Database) -> None:
    model, visitor = await talk(history_tokens=1_000, model="large", summary_model=SMALL)
    model.does(*[_answering] * 60)
    thread_id = await converse(visitor, 8)
    await visitor.send("threads.update", thread_id=thread_id, title="Renamed")

    store, owner = SqlStore(database), RequestContext(visitor.user_id)
    metadata = (await store.load_thread(thread_id, owner)).metadata
    assert metadata[HISTORY_START].startswith("msg_")
    assert SUMMARY in metadata[HISTORY_SUMMARY]
    requests: dict[str, dict[str, Any]] = {
        "threads.get_by_id": {"thread_id": thread_id},
        "threads.list": {},
        "items.list": {"thread_id": thread_id},
        "threads.update": {"thread_id": thread_id, "title": "Again"},
    }
    for kind, params in requests.items():
        shown = (await visitor.send(kind, **params)).text
        assert SUMMARY not in shown
        assert metadata[HISTORY_START] not in shown.replace(f'"id":"{metadata[HISTORY_START]}"', "")


SUMMARY = "They spoke of questions."
ANSWER = "An answer of about as many words as that. " * 5
_answering = of_model(**{SMALL: answer(SUMMARY), "large": answer(ANSWER)})


async def test_what_falls_out_is_summarised_once_a_step(talk: Talk) -> None:
    model, visitor = await talk(history_tokens=1_000, model="large", summary_model=SMALL)
    model.does(*[_answering] * 60)

    await converse(visitor, 16)

    asked, summaries = bodies(model, "large"), bodies(model, SMALL)
    firsts = [texts(body["input"])[0] for body in asked]
    cuts = [n for n in range(1, 16) if firsts[n] != firsts[n - 1]]
    assert len(summaries) >= 2
    told = f"user: [Summary of what was said before, by a model: {SUMMARY}]"
    with_summary = [n for n in range(16) if firsts[n] == told]
    assert with_summary == list(range(cuts[0], 16))
    starts = {texts(body["input"])[1] for body in asked[cuts[0] :]}
    assert len(summaries) == len(starts)  # one for each step
    # Everything that any of them left out was told to the small model, with the summary before.
    heard = [str(body["input"]) for body in summaries]
    assert all(body["instructions"] == INSTRUCTIONS for body in summaries)
    assert "The first question" in heard[0]
    assert SUMMARY not in heard[0]
    assert all(SUMMARY in one for one in heard[1:])
    last = texts(asked[-1]["input"])[1]
    left_out = [n for n in range(1, 16) if f"Question {n}," not in str(asked[-1]["input"])]
    assert left_out
    assert all(any(f"Question {n}," in one for one in heard) for n in left_out), last


async def test_without_a_summary_the_conversation_goes_on(talk: Talk, database: Database) -> None:
    model, visitor = await talk(
        history_tokens=1_000, model="large", summary_model=SMALL, model_retries=0
    )
    model.does(*[of_model(**{SMALL: refuse(500), "large": answer(ANSWER)})] * 60)

    thread_id = await converse(visitor, 8)

    assert bodies(model, SMALL)
    assert "Summary" not in str(bodies(model, "large"))
    owner = RequestContext(visitor.user_id)
    metadata = (await SqlStore(database).load_thread(thread_id, owner)).metadata
    assert HISTORY_START in metadata
    assert HISTORY_SUMMARY not in metadata


async def test_a_summary_counts_among_the_tokens(talk: Talk, database: Database) -> None:
    used = []
    for small in (None, SMALL):
        model, visitor = await talk(history_tokens=1_000, model="large", summary_model=small)
        model.does(*[_answering] * 60)
        await converse(visitor, 8)
        tokens = select(func.sum(RunRow.tokens_in)).where(RunRow.user_id == visitor.user_id)
        used.append((await database.read(visitor.user_id, tokens))[0][0])

    assert used[1] > used[0]


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        ({}, {}),
        ({"prompt_cache_key": True}, {"prompt_cache_key": "thr_"}),
        ({"prompt_cache_retention": "24h"}, {"prompt_cache_retention": "24h"}),
        ({"service_tier": "flex"}, {"service_tier": "flex"}),
    ],
    ids=["nothing", "key", "retention", "tier"],
)
@pytest.mark.parametrize("api", ["responses", "chat_completions"])
async def test_what_a_provider_charges_is_a_setting(
    talk: Talk, api: str, changes: dict[str, Any], sent: dict[str, str]
) -> None:
    model, visitor = await talk(openai_api=api, **changes)
    turn = await visitor.say("hello")
    await visitor.say("again", turn.thread_id)

    names = ("prompt_cache_key", "prompt_cache_retention", "service_tier")
    found = [{n: b[n] for n in names if n in b} for b in bodies(model)]
    assert found[0] == found[1]  # one key for the whole conversation
    assert found[0].keys() == sent.keys()
    assert all(found[0][name].startswith(value) for name, value in sent.items())


def test_the_key_is_sent_to_openai_unless_a_setting_says_otherwise(settings: Settings) -> None:
    def sends(**changes: Any) -> bool:
        return settings.model_copy(update=changes).sends_cache_key

    assert sends()
    assert not sends(openai_base_url="http://model.test/v1")
    assert sends(openai_base_url="http://model.test/v1", prompt_cache_key=True)
    assert not sends(prompt_cache_key=False)
