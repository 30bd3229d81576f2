"""Lists continue after their cursor, also if the row that it names was deleted."""

from typing import Any

import pytest
from agents.testing import ScriptedModel, assistant_message, function_call

from engine.context.ids import new_id
from engine.context.request_context import RequestContext
from engine.database.database import Database
from engine.store.store import SqlStore
from engine.tests.fixtures import Scripted
from engine.tests.talk import Visitor

ORDERS = ["asc", "desc"]


async def page(visitor: Visitor, type_: str, **params: Any) -> dict[str, Any]:
    response = await visitor.send(type_, **params)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def ids(answer: dict[str, Any]) -> list[str]:
    return [row["id"] for row in answer["data"]]


async def with_tool_calls(with_model: Scripted, turns: int, calls: int = 1) -> tuple[Visitor, str]:
    """A thread in which each turn has `calls` tool calls, which are hidden items."""
    shouts = [function_call("shout", {"text": "a"}, call_id=f"call_{n}") for n in range(calls)]
    model = ScriptedModel([[*shouts], [assistant_message("Done.")]] * turns)
    visitor = await with_model(model)
    turn = await visitor.say("go")
    for _ in range(turns - 1):
        await visitor.say("again", turn.thread_id)
    return visitor, turn.thread_id


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("deleted", [1, 2])
async def test_threads_after_a_deleted_cursor_are_listed(
    visitor: Visitor, order: str, deleted: int
) -> None:
    for number in range(6):
        await visitor.say(f"message {number}")
    everything = ids(await page(visitor, "threads.list", order=order))
    first = await page(visitor, "threads.list", order=order, limit=3)
    for thread_id in ids(first)[-deleted:]:
        await visitor.send("threads.delete", thread_id=thread_id)

    second = await page(visitor, "threads.list", order=order, limit=2, after=first["after"])
    third = await page(visitor, "threads.list", order=order, limit=2, after=second["after"])

    assert ids(second) + ids(third) == everything[3:]
    assert (second["has_more"], third["has_more"]) == (True, False)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_items_after_a_deleted_cursor_are_listed(
    with_model: Scripted, database: Database, order: str, limit: int
) -> None:
    visitor, thread_id = await with_tool_calls(with_model, turns=4)
    store, owner = SqlStore(database), RequestContext(visitor.user_id)
    about = {"thread_id": thread_id, "order": order}
    everything = ids(await page(visitor, "items.list", limit=100, **about))
    assert len(everything) == 12
    listed: list[str] = []
    answer: dict[str, Any] = {"has_more": True}
    while answer["has_more"]:
        answer = await page(visitor, "items.list", limit=limit, after=answer.get("after"), **about)
        listed += ids(answer)
        await store.delete_thread_item(thread_id, listed[-1], owner)

    assert listed == everything


@pytest.mark.parametrize("order", ORDERS)
async def test_after_the_last_row_the_page_is_empty(visitor: Visitor, order: str) -> None:
    turn = await visitor.say("hello")
    about = {"thread_id": turn.thread_id}
    for type_, params in (("threads.list", {}), ("items.list", about)):
        last = ids(await page(visitor, type_, order=order, **params))[-1]
        end = await page(visitor, type_, order=order, after=last, **params)
        assert (end["data"], end["has_more"]) == ([], False)


@pytest.mark.parametrize("order", ORDERS)
async def test_an_empty_cursor_lists_from_the_beginning(visitor: Visitor, order: str) -> None:
    turn = await visitor.say("hello")
    about = {"thread_id": turn.thread_id}
    for type_, params in (("threads.list", {}), ("items.list", about)):
        whole = await page(visitor, type_, order=order, **params)
        assert whole["data"]
        assert await page(visitor, type_, order=order, after="", **params) == whole


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("cursor", ["nonsense", "thr_", "thr_" + "g" * 32, "%", "0"])
async def test_an_invalid_cursor_is_refused(visitor: Visitor, order: str, cursor: str) -> None:
    turn = await visitor.say("hello")
    about: dict[str, Any] = {"thread_id": turn.thread_id}
    for type_, params in (("threads.list", {}), ("items.list", about)):
        refused = await visitor.send(type_, order=order, after=cursor, **params)
        assert refused.status_code == 422
        assert refused.json()["error"]["code"] == "invalid_request"


async def test_a_stored_id_of_another_format_is_a_cursor(
    visitor: Visitor, database: Database
) -> None:
    """Rows imported from an older project may have such ids."""
    turn = await visitor.say("hello")
    store, owner = SqlStore(database), RequestContext(visitor.user_id)
    item = await store.load_item(turn.thread_id, turn.user_message_id, owner)
    for id_ in ("old-1", "old-2"):
        await store.save_item(turn.thread_id, item.model_copy(update={"id": id_}), owner)
    about: dict[str, Any] = {"thread_id": turn.thread_id, "order": "asc"}

    assert ids(await page(visitor, "items.list", after="old-1", **about)) == ["old-2"]
    assert ids(await page(visitor, "items.list", after="old-2", **about)) == []


@pytest.mark.parametrize("order", ORDERS)
async def test_a_cursor_of_another_user_shows_none_of_their_rows(
    visitor: Visitor, stranger: Visitor, order: str
) -> None:
    for number in range(2):
        await visitor.say(f"mine {number}")
        await stranger.say(f"theirs {number}")
    theirs = ids(await page(stranger, "threads.list", order="asc"))

    found = await page(visitor, "threads.list", order=order, after=theirs[0])

    assert [thread["title"] for thread in found["data"]] == [
        "mine 0" if order == "desc" else "mine 1"
    ]


async def test_items_of_no_thread_are_not_found(visitor: Visitor) -> None:
    await visitor.say("hello")
    for after in (None, new_id("message")):
        response = await visitor.send("items.list", thread_id=new_id("thread"), after=after)
        assert response.status_code == 404


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_hidden_items_do_not_count_in_a_page(
    with_model: Scripted, order: str, limit: int
) -> None:
    visitor, thread_id = await with_tool_calls(with_model, turns=3, calls=4)
    about = {"thread_id": thread_id, "order": order}
    everything = ids(await page(visitor, "items.list", limit=100, **about))
    assert len(everything) == 9
    listed: list[str] = []
    answer: dict[str, Any] = {"has_more": True}
    while answer["has_more"]:
        answer = await page(visitor, "items.list", limit=limit, after=answer.get("after"), **about)
        listed += ids(answer)
        assert len(ids(answer)) == limit or not answer["has_more"]

    assert listed == everything


async def test_the_first_page_of_a_thread_is_full(with_model: Scripted) -> None:
    visitor, thread_id = await with_tool_calls(with_model, turns=8, calls=3)
    thread = await page(visitor, "threads.get_by_id", thread_id=thread_id)
    everything = [item["id"] for item in await visitor.items(thread_id)]

    assert ids(thread["items"]) == everything[:20]
    assert thread["items"]["after"] == everything[19]
