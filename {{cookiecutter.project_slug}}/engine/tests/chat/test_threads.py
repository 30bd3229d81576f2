"""History, as the page's panel uses it."""

from typing import Any

from sqlalchemy import select

from engine.context.request_context import RequestContext
from engine.database.database import EVERYBODY, Database
from engine.database.rows import FeedbackRow, ItemRow
from engine.store.store import SqlStore
from engine.tests.talk import Visitor, message


async def test_threads_list_newest_first_page_by_page(visitor: Visitor) -> None:
    for number in range(5):
        await visitor.say(f"message {number}")

    titles: list[str] = []
    after: str | None = None
    while True:
        page = (await visitor.send("threads.list", limit=2, after=after)).json()
        titles += [thread["title"] for thread in page["data"]]
        if not page["has_more"]:
            break
        after = page["after"]

    assert titles == [f"message {number}" for number in (4, 3, 2, 1, 0)]
    oldest = (await visitor.send("threads.list", order="asc", limit=1)).json()
    assert oldest["data"][0]["title"] == "message 0"


async def test_items_list_both_ways_page_by_page(visitor: Visitor) -> None:
    turn = await visitor.say("one")
    await visitor.say("two", turn.thread_id)
    everything = [item["id"] for item in await visitor.items(turn.thread_id)]

    for order, expected in (("asc", everything), ("desc", everything[::-1])):
        ids: list[str] = []
        page: dict[str, Any] = {"after": None}
        while page.get("has_more", True):
            page = (
                await visitor.send(
                    "items.list",
                    thread_id=turn.thread_id,
                    order=order,
                    limit=4,
                    after=page.get("after"),
                )
            ).json()
            ids += [item["id"] for item in page["data"]]
        assert ids == expected


async def test_a_page_is_never_larger_than_a_hundred(visitor: Visitor, database: Database) -> None:
    store, owner = SqlStore(database), RequestContext(visitor.user_id)
    turn = await visitor.say("hello")
    item = await store.load_item(turn.thread_id, turn.user_message_id, owner)
    for number in range(110):
        copy = item.model_copy(update={"id": f"copy_{number}"})
        await store.add_thread_item(turn.thread_id, copy, owner)

    page = (
        await visitor.send("items.list", thread_id=turn.thread_id, limit=1_000_000, order="asc")
    ).json()
    assert len(page["data"]) == 100
    assert page["has_more"] is True


async def test_an_item_that_is_written_again_keeps_its_place(
    visitor: Visitor, database: Database
) -> None:
    store, owner = SqlStore(database), RequestContext(visitor.user_id)
    turn = await visitor.say("hello")
    first = await store.load_item(turn.thread_id, turn.user_message_id, owner)

    await store.add_thread_item(turn.thread_id, first, owner)
    await store.save_item(turn.thread_id, first, owner)

    items = await visitor.items(turn.thread_id)
    assert [item["type"] for item in items] == ["user_message", "workflow", "assistant_message"]


async def test_rename(visitor: Visitor) -> None:
    turn = await visitor.say("hello")

    renamed = await visitor.send("threads.update", thread_id=turn.thread_id, title=" New  name ")

    assert renamed.json()["title"] == "New name"
    [thread] = (await visitor.send("threads.list")).json()["data"]
    assert thread["title"] == "New name"
    await visitor.say("more", turn.thread_id)
    assert (await visitor.send("threads.list")).json()["data"][0]["title"] == "New name"


async def test_delete_takes_the_items_along(visitor: Visitor, database: Database) -> None:
    turn = await visitor.say("hello")

    assert (await visitor.send("threads.delete", thread_id=turn.thread_id)).json() == {}

    gone = await visitor.send("threads.get_by_id", thread_id=turn.thread_id)
    assert gone.status_code == 404
    async with database.transaction(EVERYBODY) as connection:
        left = await connection.execute(
            select(ItemRow.id).where(ItemRow.user_id == visitor.user_id)
        )
    assert left.all() == []


async def test_feedback_is_kept_and_the_last_word_counts(
    visitor: Visitor, database: Database
) -> None:
    turn = await visitor.say("hello")
    answer = turn.done("assistant_message")[0]["id"]
    for kind in ("positive", "negative"):
        response = await visitor.send(
            "items.feedback", thread_id=turn.thread_id, item_ids=[answer, answer], kind=kind
        )
        assert response.json() == {}

    async with database.transaction(EVERYBODY) as connection:
        rows = await connection.execute(
            select(FeedbackRow.item_id, FeedbackRow.kind).where(
                FeedbackRow.user_id == visitor.user_id
            )
        )
    assert [tuple(row) for row in rows] == [(answer, "negative")]


async def test_the_session_is_kept_on_the_thread(visitor: Visitor, database: Database) -> None:
    body = {
        "type": "threads.create",
        "params": {"input": message("hello")},
        "session_id": "session-1-abc",
    }
    await visitor.client.post("/chatkit", json=body)

    store, owner = SqlStore(database), RequestContext(visitor.user_id)
    [thread] = (await store.load_threads(1, None, "desc", owner)).data
    assert thread.metadata == {"session_id": "session-1-abc"}
    # On a new thread the SDK hands its items over as well.
    assert type(thread).__name__ == "ThreadMetadata"


async def test_the_first_session_is_kept_beside_other_metadata(
    visitor: Visitor, database: Database
) -> None:
    turn = await visitor.say("hello")
    store, owner = SqlStore(database), RequestContext(visitor.user_id)
    thread = await store.load_thread(turn.thread_id, owner)
    await store.save_thread(thread.model_copy(update={"metadata": {"topic": "tea"}}), owner)

    for session in ("first", "second"):
        body = {
            "type": "threads.add_user_message",
            "params": {"thread_id": turn.thread_id, "input": message("hello")},
            "metadata": {"session_id": session},
        }
        await visitor.client.post("/chatkit", json=body)

    thread = await store.load_thread(turn.thread_id, owner)
    assert thread.metadata == {"topic": "tea", "session_id": "first"}
