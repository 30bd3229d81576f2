"""The contract of the store that is not visible over HTTP."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from chatkit.store import NotFoundError
from chatkit.types import (
    FileAttachment,
    HiddenContextItem,
    Page,
    Thread,
    ThreadMetadata,
)
from sqlalchemy import select, text, update

from engine.context.request_context import RequestContext
from engine.context.run import Run
from engine.database.database import EVERYBODY, TABLE_PREFIX, Base, Database
from engine.database.rows import ItemRow, ThreadRow
from engine.database.users import ensure_user
from engine.http.errors import InvalidRequest
from engine.store.store import SqlStore
from engine.tests.test_hostile import digest_of_rows

OWNER = RequestContext("store-owner")
STRANGER = RequestContext("store-foreigner")
THREAD = ThreadMetadata(id="thr_store", created_at=datetime(2026, 1, 2, 3, 4, 5))  # noqa: DTZ001


@pytest.fixture
async def store(database: Database) -> SqlStore:
    for owner in (OWNER, STRANGER):
        await database.write(owner.user_id, ensure_user(owner.user_id))
    store = SqlStore(database)
    for owner in (OWNER, STRANGER):
        await store.delete_thread(THREAD.id, owner)
    await store.create_thread(THREAD, OWNER)
    return store


def hidden(item_id: str, content: str = "x") -> HiddenContextItem:
    return HiddenContextItem(
        id=item_id, thread_id=THREAD.id, created_at=THREAD.created_at, content=content
    )


async def test_only_a_threads_own_fields_are_stored(store: SqlStore, database: Database) -> None:
    full = Thread(**THREAD.model_dump(), items=Page(data=[hidden("a")]))
    await store.save_thread(full, OWNER)

    async with database.transaction(EVERYBODY) as connection:
        payload = await connection.execute(
            select(ThreadRow.payload).where(ThreadRow.user_id == OWNER.user_id)
        )
    assert "items" not in payload.scalar_one()


async def test_naive_times_of_the_sdk_are_unchanged(store: SqlStore) -> None:
    thread = await store.load_thread(THREAD.id, OWNER)
    assert thread.created_at == THREAD.created_at
    assert thread.created_at.tzinfo is None


async def test_time_columns_are_aware(store: SqlStore, database: Database) -> None:
    async with database.transaction(EVERYBODY) as connection:
        created_at = await connection.execute(
            select(ThreadRow.created_at).where(ThreadRow.user_id == OWNER.user_id)
        )
    age = datetime.now(UTC) - created_at.scalar_one()
    assert 0 <= age.total_seconds() < 60


CANARY = "canary-4711"
ATTACHMENT = FileAttachment(id="atc_mine", name=CANARY, mime_type="text/plain")
STOLEN = THREAD.model_copy(update={"title": "stolen"})

# Every method, called for rows of another user.
AS_FOREIGNER: dict[str, Callable[[SqlStore], Awaitable[object]]] = {
    "add_thread_item": lambda store: store.add_thread_item(THREAD.id, hidden("mine"), STRANGER),
    "create_thread": lambda store: store.create_thread(STOLEN, STRANGER),
    "delete_attachment": lambda store: store.delete_attachment("atc_mine", STRANGER),
    "delete_thread": lambda store: store.delete_thread(THREAD.id, STRANGER),
    "delete_thread_item": lambda store: store.delete_thread_item(THREAD.id, "mine", STRANGER),
    "save_metadata": lambda store: store.save_metadata(THREAD.id, {"agent": "stolen"}, STRANGER),
    "load_attachment": lambda store: store.load_attachment("atc_mine", STRANGER),
    "load_item": lambda store: store.load_item(THREAD.id, "mine", STRANGER),
    "load_thread": lambda store: store.load_thread(THREAD.id, STRANGER),
    "load_thread_items": lambda store: store.load_thread_items(
        THREAD.id, None, 10, "asc", STRANGER
    ),
    "load_threads": lambda store: store.load_threads(10, None, "desc", STRANGER),
    "retitle": lambda store: store.retitle(
        THREAD.model_copy(update={"title": CANARY}), "stolen", STRANGER
    ),
    "retry_range": lambda store: store.retry_range(THREAD.id, "mine", STRANGER),
    "save_attachment": lambda store: store.save_attachment(
        ATTACHMENT.model_copy(update={"name": "stolen"}), STRANGER
    ),
    "save_feedback": lambda store: store.save_feedback(THREAD.id, ["mine"], "positive", STRANGER),
    "save_item": lambda store: store.save_item(THREAD.id, hidden("mine"), STRANGER),
    "save_thread": lambda store: store.save_thread(STOLEN, STRANGER),
}
# Methods that create rows with the same ids for the caller.
CREATE_OWN_ROWS = {"create_thread", "save_attachment"}
# Methods that return an empty page or list.
RETURN_EMPTY = {"load_threads", "retitle"}
# Methods that find no row to delete or change, and raise nothing.
DO_NOTHING = {"delete_thread", "delete_thread_item", "delete_attachment", "save_metadata"}


def methods() -> list[str]:
    """The public methods of the store."""
    return sorted(
        name
        for name, method in inspect.getmembers(SqlStore, inspect.iscoroutinefunction)
        if not name.startswith("_")
    )


@pytest.mark.parametrize("name", methods())
async def test_no_method_reaches_another_users_rows(
    store: SqlStore, database: Database, name: str
) -> None:
    await store.save_thread(THREAD.model_copy(update={"title": CANARY}), OWNER)
    await store.add_thread_item(THREAD.id, hidden("mine", CANARY), OWNER)
    await store.save_attachment(ATTACHMENT, OWNER)
    before = await digest_of_rows(database, OWNER.user_id)

    if name in CREATE_OWN_ROWS | RETURN_EMPTY | DO_NOTHING:
        assert CANARY not in repr(await AS_FOREIGNER[name](store))
    else:
        with pytest.raises(NotFoundError):
            await AS_FOREIGNER[name](store)

    assert await digest_of_rows(database, OWNER.user_id) == before


async def test_an_item_cannot_enter_another_users_thread(store: SqlStore) -> None:
    with pytest.raises(NotFoundError):
        await store.add_thread_item(THREAD.id, hidden("intruder"), STRANGER)


async def test_nul_and_lone_surrogates_are_removed(store: SqlStore) -> None:
    await store.add_thread_item(THREAD.id, hidden("odd", "a\x00b\ud800c\\u0000"), OWNER)

    item = await store.load_item(THREAD.id, "odd", OWNER)
    assert isinstance(item, HiddenContextItem)
    assert item.content == "ab\ufffdc\\u0000"


async def test_items_written_in_parallel_get_distinct_positions(store: SqlStore) -> None:
    await asyncio.gather(
        *(store.add_thread_item(THREAD.id, hidden(f"item_{n}"), OWNER) for n in range(50))
    )
    page = await store.load_thread_items(THREAD.id, None, 100, "asc", OWNER)
    assert {item.id for item in page.data} == {f"item_{n}" for n in range(50)}
    again = await store.load_thread_items(THREAD.id, None, 100, "asc", OWNER)
    assert [item.id for item in again.data] == [item.id for item in page.data]


def test_ids_are_unique_and_ordered_by_time(database: Database) -> None:
    store = SqlStore(database)
    ids = [store.generate_item_id("message", THREAD, OWNER) for _ in range(100_000)]
    assert len(set(ids)) == len(ids)
    assert all(item_id.startswith("msg_") and len(item_id) == 36 for item_id in ids)
    milliseconds = [item_id[4:16] for item_id in ids]
    assert milliseconds == sorted(milliseconds)


def test_every_key_begins_with_the_owner_and_every_name_with_the_prefix() -> None:
    for table in Base.metadata.tables.values():
        assert table.name.startswith(TABLE_PREFIX)
        if not table.info.get("has_owner", True):
            continue
        owner = "id" if table.name == f"{TABLE_PREFIX}users" else "user_id"
        assert next(iter(table.primary_key.columns)).name == owner
        for index in table.indexes:
            # Other indexes may be for maintenance, which reads the rows of all owners, or for
            # full-text search.
            is_for_words = index.dialect_options["postgresql"]["using"] == "gin"
            is_for_all = index.name == f"{TABLE_PREFIX}runs_started_at_idx" or is_for_words
            if index.unique or not is_for_all:
                assert next(iter(index.columns)).name == owner


async def test_every_name_in_the_database_has_the_prefix(database: Database) -> None:
    async with database.transaction(EVERYBODY) as connection:
        names = await connection.execute(
            text(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                " UNION ALL SELECT conname FROM pg_constraint"
                " WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
            )
        )
    found = names.scalars().all()
    assert len(found) > 20
    assert [name for name in found if not name.startswith(TABLE_PREFIX)] == []


async def test_an_item_is_found_in_its_own_thread_only(store: SqlStore) -> None:
    other = THREAD.model_copy(update={"id": "thr_other"})
    await store.create_thread(other, OWNER)
    await store.add_thread_item(THREAD.id, hidden("here"), OWNER)

    await store.delete_thread_item(other.id, "here", OWNER)
    for missing in (
        store.load_item(other.id, "here", OWNER),
        store.save_feedback(other.id, ["here"], "positive", OWNER),
    ):
        with pytest.raises(NotFoundError):
            await missing
    assert (await store.load_item(THREAD.id, "here", OWNER)).id == "here"
    await store.delete_thread(other.id, OWNER)


async def test_a_cursor_of_another_user_is_refused(store: SqlStore) -> None:
    theirs = THREAD.model_copy(update={"id": "thr_theirs"})
    await store.create_thread(theirs, STRANGER)
    await store.add_thread_item(theirs.id, hidden("first"), STRANGER)
    await store.add_thread_item(THREAD.id, hidden("second"), OWNER)

    for order in ("asc", "desc"):
        with pytest.raises(InvalidRequest):
            await store.load_threads(10, theirs.id, order, OWNER)
        with pytest.raises(InvalidRequest):
            await store.load_thread_items(THREAD.id, "first", 10, order, OWNER)
    await store.delete_thread(theirs.id, STRANGER)


async def test_threads_created_at_the_same_time_are_all_listed_once(
    store: SqlStore, database: Database
) -> None:
    for number in range(4):
        await store.create_thread(THREAD.model_copy(update={"id": f"thr_tie_{number}"}), STRANGER)
    async with database.transaction(EVERYBODY) as connection:
        await connection.execute(
            update(ThreadRow)
            .where(ThreadRow.user_id == STRANGER.user_id)
            .values(created_at=datetime(2026, 1, 1, tzinfo=UTC))
        )
    for order in ("asc", "desc"):
        first = await store.load_threads(2, None, order, STRANGER)
        second = await store.load_threads(2, first.after, order, STRANGER)
        listed = [thread.id for thread in first.data + second.data]
        assert listed == sorted((f"thr_tie_{n}" for n in range(4)), reverse=order == "desc")
    for number in range(4):
        await store.delete_thread(f"thr_tie_{number}", STRANGER)


async def test_a_page_has_at_least_one_row_and_the_last_page_has_no_cursor(store: SqlStore) -> None:
    for item_id in ("a", "b"):
        await store.add_thread_item(THREAD.id, hidden(item_id), OWNER)

    page = await store.load_thread_items(THREAD.id, None, -5, "asc", OWNER)
    assert [item.id for item in page.data] == ["a"]
    last = await store.load_thread_items(THREAD.id, page.after, 5, "asc", OWNER)
    assert (last.has_more, last.after) == (False, None)


async def test_a_second_write_replaces_the_first(store: SqlStore) -> None:
    await store.add_thread_item(THREAD.id, hidden("item", "old"), OWNER)
    await store.add_thread_item(THREAD.id, hidden("item", "new"), OWNER)
    await store.save_thread(THREAD.model_copy(update={"title": "New"}), OWNER)

    item = await store.load_item(THREAD.id, "item", OWNER)
    assert isinstance(item, HiddenContextItem)
    assert item.content == "new"
    assert (await store.load_thread(THREAD.id, OWNER)).title == "New"


async def test_saving_does_not_recreate_a_deleted_thread(
    store: SqlStore,
) -> None:
    run = Run("run_1", OWNER.user_id, THREAD.id, "threads.create")
    context = replace(OWNER, run=run)
    await store.save_thread(THREAD, context)
    await store.delete_thread(THREAD.id, OWNER)

    for late in (context, OWNER):
        with pytest.raises(NotFoundError):
            await store.save_thread(THREAD.model_copy(update={"title": "late"}), late)
    with pytest.raises(NotFoundError):
        await store.load_thread(THREAD.id, OWNER)


async def test_nul_is_removed_everywhere(store: SqlStore) -> None:
    odd = {"ke\x00y": ["a\x00b", {"c": "\x00"}]}
    item = hidden("nested").model_copy(update={"content": odd})
    await store.add_thread_item(THREAD.id, item, OWNER)
    await store.save_thread(THREAD.model_copy(update={"title": "a\x00b"}), OWNER)
    attachment = FileAttachment(id="atc_odd", name="a\x00b", mime_type="text/plain")
    await store.save_attachment(attachment, OWNER)

    stored = await store.load_item(THREAD.id, "nested", OWNER)
    assert isinstance(stored, HiddenContextItem)
    assert stored.content == {"key": ["ab", {"c": ""}]}
    assert (await store.load_thread(THREAD.id, OWNER)).title == "ab"
    assert (await store.load_attachment("atc_odd", OWNER)).name == "ab"


async def test_the_order_does_not_depend_on_the_clock(store: SqlStore, database: Database) -> None:
    for item_id in ("first", "second"):
        await store.add_thread_item(THREAD.id, hidden(item_id), OWNER)
    async with database.transaction(EVERYBODY) as connection:
        await connection.execute(
            update(ItemRow)
            .where(ItemRow.user_id == OWNER.user_id, ItemRow.id == "second")
            .values(created_at=datetime(2020, 1, 1, tzinfo=UTC))
        )
    for order, expected in (("asc", ["first", "second"]), ("desc", ["second", "first"])):
        page = await store.load_thread_items(THREAD.id, None, 10, order, OWNER)
        assert [item.id for item in page.data] == expected
