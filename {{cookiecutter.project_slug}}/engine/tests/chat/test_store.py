"""The store's own contract, where no request shows it."""

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
from engine.tests.test_hostile import everything_of

OWNER = RequestContext("store-owner")
FOREIGNER = RequestContext("store-foreigner")
THREAD = ThreadMetadata(id="thr_store", created_at=datetime(2026, 1, 2, 3, 4, 5))  # noqa: DTZ001


@pytest.fixture
async def store(database: Database) -> SqlStore:
    for owner in (OWNER, FOREIGNER):
        await database.write(owner.user_id, ensure_user(owner.user_id))
    store = SqlStore(database)
    for owner in (OWNER, FOREIGNER):
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


async def test_the_sdks_naive_times_come_back_as_they_were(store: SqlStore) -> None:
    thread = await store.load_thread(THREAD.id, OWNER)
    assert thread.created_at == THREAD.created_at
    assert thread.created_at.tzinfo is None


async def test_our_own_times_are_aware(store: SqlStore, database: Database) -> None:
    async with database.transaction(EVERYBODY) as connection:
        created_at = await connection.execute(
            select(ThreadRow.created_at).where(ThreadRow.user_id == OWNER.user_id)
        )
    age = datetime.now(UTC) - created_at.scalar_one()
    assert 0 <= age.total_seconds() < 60


CANARY = "canary-4711"
ATTACHMENT = FileAttachment(id="atc_mine", name=CANARY, mime_type="text/plain")
STOLEN = THREAD.model_copy(update={"title": "stolen"})

# Every method, called by somebody to whom nothing of it belongs.
AS_FOREIGNER: dict[str, Callable[[SqlStore], Awaitable[object]]] = {
    "add_thread_item": lambda store: store.add_thread_item(THREAD.id, hidden("mine"), FOREIGNER),
    "create_thread": lambda store: store.create_thread(STOLEN, FOREIGNER),
    "delete_attachment": lambda store: store.delete_attachment("atc_mine", FOREIGNER),
    "delete_thread": lambda store: store.delete_thread(THREAD.id, FOREIGNER),
    "delete_thread_item": lambda store: store.delete_thread_item(THREAD.id, "mine", FOREIGNER),
    "save_agent": lambda store: store.save_agent(THREAD.id, "stolen", FOREIGNER),
    "load_attachment": lambda store: store.load_attachment("atc_mine", FOREIGNER),
    "load_item": lambda store: store.load_item(THREAD.id, "mine", FOREIGNER),
    "load_thread": lambda store: store.load_thread(THREAD.id, FOREIGNER),
    "load_thread_items": lambda store: store.load_thread_items(
        THREAD.id, None, 10, "asc", FOREIGNER
    ),
    "load_threads": lambda store: store.load_threads(10, None, "desc", FOREIGNER),
    "retitle": lambda store: store.retitle(
        THREAD.model_copy(update={"title": CANARY}), "stolen", FOREIGNER
    ),
    "retry_range": lambda store: store.retry_range(THREAD.id, "mine", FOREIGNER),
    "save_attachment": lambda store: store.save_attachment(
        ATTACHMENT.model_copy(update={"name": "stolen"}), FOREIGNER
    ),
    "save_feedback": lambda store: store.save_feedback(THREAD.id, ["mine"], "positive", FOREIGNER),
    "save_item": lambda store: store.save_item(THREAD.id, hidden("mine"), FOREIGNER),
    "save_thread": lambda store: store.save_thread(STOLEN, FOREIGNER),
}
# With rows of the same ids that they own.
UNREMARKABLE = {"create_thread", "save_attachment"}
# With an empty page, or no thread.
EMPTY = {"load_threads", "retitle"}
# Without a word: there was nothing to delete or to change.
SILENT = {"delete_thread", "delete_thread_item", "delete_attachment", "save_agent"}


def methods() -> list[str]:
    """What the store can be asked to do, whoever added it."""
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
    before = await everything_of(database, OWNER.user_id)

    if name in UNREMARKABLE | EMPTY | SILENT:
        assert CANARY not in repr(await AS_FOREIGNER[name](store))
    else:
        with pytest.raises(NotFoundError):
            await AS_FOREIGNER[name](store)

    assert await everything_of(database, OWNER.user_id) == before


async def test_an_item_cannot_enter_another_users_thread(store: SqlStore) -> None:
    with pytest.raises(NotFoundError):
        await store.add_thread_item(THREAD.id, hidden("intruder"), FOREIGNER)


async def test_what_no_text_column_takes_is_left_out(store: SqlStore) -> None:
    await store.add_thread_item(THREAD.id, hidden("odd", "a\x00b\ud800c\\u0000"), OWNER)

    item = await store.load_item(THREAD.id, "odd", OWNER)
    assert isinstance(item, HiddenContextItem)
    assert item.content == "ab\ufffdc\\u0000"


async def test_items_written_at_once_each_get_a_place(store: SqlStore) -> None:
    await asyncio.gather(
        *(store.add_thread_item(THREAD.id, hidden(f"item_{n}"), OWNER) for n in range(50))
    )
    page = await store.load_thread_items(THREAD.id, None, 100, "asc", OWNER)
    assert {item.id for item in page.data} == {f"item_{n}" for n in range(50)}
    again = await store.load_thread_items(THREAD.id, None, 100, "asc", OWNER)
    assert [item.id for item in again.data] == [item.id for item in page.data]


def test_ids_do_not_clash_and_are_in_order_of_time(database: Database) -> None:
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
            # (What is not unique may serve maintenance, which looks at everybody's rows, or a
            # search for words, whose kind of index has no order.)
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


async def test_a_cursor_of_somebody_else_leads_nowhere(store: SqlStore) -> None:
    theirs = THREAD.model_copy(update={"id": "thr_theirs"})
    await store.create_thread(theirs, FOREIGNER)
    await store.add_thread_item(theirs.id, hidden("first"), FOREIGNER)
    await store.add_thread_item(THREAD.id, hidden("second"), OWNER)

    for order in ("asc", "desc"):
        with pytest.raises(InvalidRequest):
            await store.load_threads(10, theirs.id, order, OWNER)
        with pytest.raises(InvalidRequest):
            await store.load_thread_items(THREAD.id, "first", 10, order, OWNER)
    await store.delete_thread(theirs.id, FOREIGNER)


async def test_threads_of_the_same_moment_are_all_listed_once(
    store: SqlStore, database: Database
) -> None:
    for number in range(4):
        await store.create_thread(THREAD.model_copy(update={"id": f"thr_tie_{number}"}), FOREIGNER)
    async with database.transaction(EVERYBODY) as connection:
        await connection.execute(
            update(ThreadRow)
            .where(ThreadRow.user_id == FOREIGNER.user_id)
            .values(created_at=datetime(2026, 1, 1, tzinfo=UTC))
        )
    for order in ("asc", "desc"):
        first = await store.load_threads(2, None, order, FOREIGNER)
        second = await store.load_threads(2, first.after, order, FOREIGNER)
        listed = [thread.id for thread in first.data + second.data]
        assert listed == sorted((f"thr_tie_{n}" for n in range(4)), reverse=order == "desc")
    for number in range(4):
        await store.delete_thread(f"thr_tie_{number}", FOREIGNER)


async def test_a_page_has_at_least_one_row_and_the_last_has_no_cursor(store: SqlStore) -> None:
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


async def test_a_thread_that_was_deleted_does_not_come_back_by_being_saved(
    store: SqlStore,
) -> None:
    run = Run("run_1", OWNER.user_id, THREAD.id, request="threads.create", model="m")
    context = replace(OWNER, run=run)
    await store.save_thread(THREAD, context)
    await store.delete_thread(THREAD.id, OWNER)

    for late in (context, OWNER):
        with pytest.raises(NotFoundError):
            await store.save_thread(THREAD.model_copy(update={"title": "late"}), late)
    with pytest.raises(NotFoundError):
        await store.load_thread(THREAD.id, OWNER)


async def test_nul_is_dropped_wherever_it_stands(store: SqlStore) -> None:
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


async def test_the_clock_does_not_decide_the_order(store: SqlStore, database: Database) -> None:
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
