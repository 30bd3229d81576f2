"""Answers from documents: search, ranking, and citations."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import ColumnElement, literal_column, text
from sqlalchemy.exc import DBAPIError

from app.agent.tools.knowledge import KNOWLEDGE
from engine.database.database import PROJECT_OWNER, Database
from engine.settings.settings import Settings
from engine.tests.fixtures import visiting
from engine.tests.plans import Plan, nodes
from engine.tests.talk import Visitor
from engine.toolkits.knowledge import rows as knowledge
from engine.toolkits.knowledge.passages import Passage
from engine.toolkits.knowledge.rows import KnowledgeStore


@pytest_asyncio.fixture
async def store(database: Database) -> AsyncIterator[KnowledgeStore]:
    store = KnowledgeStore(database, "english")
    await store.put(
        "docs/returns.md",
        "Returns",
        [
            Passage("Returns > Damaged goods", "Send damaged goods back within fourteen days."),
            Passage("Returns > Costs", "The parcel is free."),
        ],
    )
    await store.put("docs/parcels.md", "Shipping", [Passage("", "Parcels take two days.")])
    yield store
    for document in await store.all():
        await store.remove(document.source)


async def sources(store: KnowledgeStore, question: str) -> list[tuple[str, int]]:
    return [(found.source, found.number) for found in await store.search(question, 5)]


async def test_words_are_stemmed_and_titles_count_most(store: KnowledgeStore) -> None:
    assert set(await sources(store, "parcel")) == {("docs/parcels.md", 1), ("docs/returns.md", 2)}
    assert await sources(store, "returning a damaged good") == [("docs/returns.md", 1)]
    await store.put("docs/fees.md", "Parcel", [Passage("", "Nothing about it in here at all.")])
    assert (await sources(store, "parcels"))[0] == ("docs/fees.md", 1)


async def test_a_passages_own_heading_counts_more_than_those_above_it(
    store: KnowledgeStore,
) -> None:
    await store.put("b.md", "Guarantees", [Passage("Guarantees > Costs", "X"), Passage("Z", "X")])
    await store.put("c.md", "Zoo", [Passage("Zoo > Guarantees", "X")])
    assert await sources(store, "guarantee") == [("c.md", 1), ("b.md", 1), ("b.md", 2)]


async def test_a_heading_counts_more_than_the_text(store: KnowledgeStore) -> None:
    await store.put(
        "a.md", "A", [Passage("", "Warranty is what it says."), Passage("Warranty", "X")]
    )
    assert await sources(store, "warranty") == [("a.md", 2), ("a.md", 1)]


async def test_without_a_full_match_some_words_suffice(store: KnowledgeStore) -> None:
    assert await sources(store, "How do I send an elephant back?") == [("docs/returns.md", 1)]
    assert await sources(store, "damaged -fourteen") == []
    assert await sources(store, '"goods damaged"') == []
    assert await sources(store, "the of and") == []
    assert await sources(store, "':* & ! | ( \x00 --") == []


async def test_the_language_is_used(database: Database) -> None:
    german = KnowledgeStore(database, "german")
    await german.put("de.md", "Haus", [Passage("", "Die Häuser sind alt.")])
    assert await sources(german, "Haus") == [("de.md", 1)]
    await german.remove("de.md")


async def test_a_failed_replacement_keeps_the_old_document(store: KnowledgeStore) -> None:
    broken = [Passage("", "Fine."), Passage("", "not \x00 storable")]
    with pytest.raises(DBAPIError):
        await store.put("docs/returns.md", "Broken", broken)
    assert len(await sources(store, "returns")) == 2


async def test_a_document_is_found_while_it_is_replaced(store: KnowledgeStore) -> None:
    replacing = asyncio.create_task(replace_again_and_again(store))
    while not replacing.done():
        assert len(await sources(store, "returns")) == 2
    await replacing


async def replace_again_and_again(store: KnowledgeStore) -> None:
    passages = [Passage("", "One about returns."), Passage("", "Another.")]
    for _ in range(20):
        await store.put("docs/returns.md", "Returns", passages)


@pytest.fixture
def candidates(monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(knowledge, "CANDIDATES", 20)
    return 20


async def put_many(store: KnowledgeStore) -> None:
    """A common word in 200 passages, a rare word in one of them, and a title at the end."""
    texts = [f"Parcel number {number}, like all the others." for number in range(200)]
    texts[150] += " With a giraffe."
    await store.put("many.md", "Many", [Passage("", text) for text in texts])
    await store.put("last.md", "Parcel", [Passage("", "Nothing about it in here at all.")])


async def test_of_a_common_word_only_some_passages_are_ranked(
    store: KnowledgeStore, database: Database, candidates: int
) -> None:
    await put_many(store)
    query: ColumnElement[Any] = literal_column("'parcel'::tsquery")
    statement = knowledge.best_passages(query, 5).compile(
        database.engine.sync_engine, compile_kwargs={"literal_binds": True}
    )
    async with database.transaction(PROJECT_OWNER) as connection:
        explained = await connection.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"))
        plan: Plan = explained.scalar_one()[0]["Plan"]

    [ranked] = [node for node in nodes(plan) if node["Node Type"] == "Append"]
    scans = [node for node in nodes(ranked) if "Relation Name" in node]
    assert [node["Actual Rows"] for node in scans] == [1, candidates]


@pytest.mark.usefixtures("candidates")
async def test_the_best_passages_are_ranked(store: KnowledgeStore) -> None:
    await put_many(store)
    assert (await sources(store, "parcel"))[0] == ("last.md", 1)
    assert ("many.md", 151) in await sources(store, "a parcel, a giraffe and a zebra")
    assert ("many.md", 151) in await sources(store, "others OR giraffe")


async def test_a_query_of_only_excluded_words(store: KnowledgeStore) -> None:
    assert await sources(store, "-parcel") == []


def parts(turn: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    [workflow] = turn.done("workflow")
    [answer] = turn.done("assistant_message")
    return workflow["workflow"]["tasks"][1], answer["content"][0]["annotations"]


@pytest.mark.usefixtures("store")
async def test_an_answer_cites_the_passages_and_its_task_shows_the_files(visitor: Visitor) -> None:
    turn = await visitor.say("What do the documents say about damaged goods?")

    task, annotations = parts(turn)
    assert (task["type"], task["title"]) == ("file", "Searching the documents")
    assert [source["filename"] for source in task["sources"]] == ["Returns"]
    assert task["status_indicator"] == "complete"
    [annotation] = annotations
    source = annotation["source"]
    assert (source["type"], source["filename"]) == ("file", "Returns")
    assert "docs/" not in str(turn.events)  # the path on the server
    assert (source["title"], source["description"]) == ("Returns", "Returns > Damaged goods")
    mark = turn.answer[: annotation["index"]]
    assert mark.startswith("[")
    assert mark.endswith(":1]")
    assert "Send damaged goods back" in turn.answer
    types = [e["update"]["type"] for e in turn.events if e["type"] == "thread.item.updated"]
    assert "assistant_message.content_part.annotation_added" in types
    [stored] = [i for i in await visitor.items(turn.thread_id) if i["type"] == "assistant_message"]
    assert stored["content"][0]["annotations"] == annotations


@pytest.mark.usefixtures("store")
async def test_an_answer_that_found_nothing_cites_nothing(visitor: Visitor) -> None:
    turn = await visitor.say("What do the documents say about elephants?")

    task, annotations = parts(turn)
    assert task["type"] == "custom"
    assert annotations == []
    assert turn.answer.startswith("No passage was found.")


async def test_documents_do_not_belong_to_a_user(base_url: str, settings: Settings) -> None:
    async with visiting(base_url, settings, user_id=PROJECT_OWNER) as impostor:
        response = await impostor.send("threads.list", limit=1, order="desc")
    assert response.status_code == 401


def test_the_demo_prompt_is_recognized() -> None:
    assert KNOWLEDGE.demonstrate(KNOWLEDGE.prompt) is not None
