"""The ChatKit SDK's store: threads, items and attachments in PostgreSQL.

Every statement has the owner in its conditions. A row of another user raises `NotFound`, like one
that does not exist. Every method is one short transaction, and every write is an upsert: the SDK
saves some objects more than once, and a write is retried if the connection is lost. During a run
it is retried for longer, because the model's answer cannot be requested again.
"""

import logging
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from chatkit.store import Store, StoreItemType
from chatkit.types import (
    Attachment,
    FeedbackKind,
    Page,
    ThreadItem,
    ThreadMetadata,
)
from pydantic import TypeAdapter
from sqlalchemy import (
    ColumnElement,
    Executable,
    Integer,
    Row,
    Select,
    Update,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.exc import IntegrityError

from engine.context.ids import new_id
from engine.context.request_context import RequestContext
from engine.context.run import Retry, is_answer
from engine.database.database import ASYNC_COMMIT, Database, DatabaseUnreachable
from engine.database.rows import AttachmentRow, FeedbackRow, ItemRow, ThreadRow
from engine.database.sequence import SEQUENCE_BEHIND, last_number
from engine.database.users import ensure_user
from engine.http.errors import InvalidRequest, NotFound, Unavailable
from engine.options import Attachments
from engine.store.cursors import Cursor, item_cursor, thread_cursor
from engine.store.item_statements import (
    OWNER,
    SAVE_ITEM,
    SAVE_ITEM_IN_RUN,
    SAVE_ITEM_OF_RETRY,
    THREAD,
    Parameters,
    item_parameters,
)
from engine.text.unicode import storable

logger = logging.getLogger(__name__)

MAX_PAGE = 100
# The key in a thread's metadata for the name of the agent that answered last.
AGENT = "agent"
# The key for the id of the message with which the model's history begins.
HISTORY_START = "history_start"
# The key for the summary of what was said before that message.
HISTORY_SUMMARY = "history_summary"

# Items for the model and the SDK only, which users do not see.
HIDDEN_TYPES = ("hidden_context_item", "sdk_hidden_context")

_ITEM: TypeAdapter[ThreadItem] = TypeAdapter(ThreadItem)
_ATTACHMENT: TypeAdapter[Attachment] = TypeAdapter(Attachment)

_PAYLOAD = bindparam("saved", type_=JSONB)
# One more than the page has, which tells whether there is another page.
_ROWS = bindparam("rows", type_=Integer)


def _create_thread() -> Insert:
    row = insert(ThreadRow).values(user_id=OWNER, id=THREAD, payload=_PAYLOAD)
    return row.on_conflict_do_update(
        index_elements=[ThreadRow.user_id, ThreadRow.id],
        set_={"payload": row.excluded.payload, "updated_at": row.excluded.updated_at},
    )


def _async_commit(write: Insert | Update) -> Select[Any]:
    written = write.returning(ThreadRow.id).cte("written")
    return select(written.c.id, ASYNC_COMMIT)


_CREATE_THREAD = _async_commit(_create_thread())
_SAVE_THREAD = (
    update(ThreadRow)
    .where(ThreadRow.user_id == OWNER, ThreadRow.id == THREAD)
    .values(payload=_PAYLOAD, updated_at=func.now())
)
_SAVE_THREAD_IN_RUN = _async_commit(_SAVE_THREAD)
_SAVE_THREAD_AND_WAIT = _SAVE_THREAD.returning(ThreadRow.id)
_LOAD_THREAD = select(ThreadRow.payload).where(ThreadRow.user_id == OWNER, ThreadRow.id == THREAD)


# Built once: to put a statement together takes a tenth of the time for a request.
@cache
def _page_of_threads(order: str) -> Select[Any]:
    columns = (ThreadRow.created_at, ThreadRow.id)
    return (
        select(ThreadRow.id, ThreadRow.payload)
        .where(ThreadRow.user_id == OWNER)
        .order_by(*(c.desc() if order == "desc" else c for c in columns))
        .limit(_ROWS)
    )


@cache
def _page_of_items(order: str, *, visible_only: bool) -> Select[Any]:
    statement = (
        select(ItemRow.id, ItemRow.payload)
        .where(ItemRow.user_id == OWNER, ItemRow.thread_id == THREAD)
        .order_by(ItemRow.seq.desc() if order == "desc" else ItemRow.seq)
        .limit(_ROWS)
    )
    return statement.where(ItemRow.type.not_in(HIDDEN_TYPES)) if visible_only else statement


class SqlStore(Store[RequestContext]):
    def __init__(self, database: Database, attachments: Attachments | None = None) -> None:
        self._database = database
        self._attachments = attachments

    # The SDK's default ids have 32 random bits: at 77,000 items, a collision has a chance of 50 %.
    def generate_thread_id(self, context: RequestContext) -> str:
        return context.run.thread_id if context.run else new_id("thread")

    def generate_item_id(
        self, item_type: StoreItemType, thread: ThreadMetadata, context: RequestContext
    ) -> str:
        return new_id(item_type)

    async def load_thread(self, thread_id: str, context: RequestContext) -> ThreadMetadata:
        if context.thread is not None and context.thread.id == thread_id:
            return context.thread.model_copy(deep=True)
        rows = await self._fetch(context, _LOAD_THREAD, _of_thread(context, thread_id))
        if not rows:
            raise NotFound(f"There is no thread {thread_id}.")
        return ThreadMetadata.model_validate(rows[0].payload)

    async def save_thread(self, thread: ThreadMetadata, context: RequestContext) -> None:
        """Raises `NotFound` when the thread is gone. Saving does not recreate a deleted thread.

        The SDK also saves the thread that a run brings along; the first time, that is new.
        """
        run = context.run
        if run is not None and run.brings_thread:
            await self.create_thread(thread, context)
            run.brings_thread = False
            return
        # In a run, a later write waits for the disk and makes this one durable too.
        statement = _SAVE_THREAD_AND_WAIT if run is None else _SAVE_THREAD_IN_RUN
        if not await self._write(context, statement, _saved(thread, context)):
            raise NotFound(f"There is no thread {thread.id}.")

    async def create_thread(self, thread: ThreadMetadata, context: RequestContext) -> None:
        """Create the thread without waiting for the disk; its first item waits for both."""
        await self._write(context, _CREATE_THREAD, _saved(thread, context))

    async def retitle(
        self, thread: ThreadMetadata, title: str, context: RequestContext
    ) -> list[ThreadMetadata]:
        """The thread under its new title; empty if the title has changed meanwhile."""
        payload = ThreadRow.payload
        statement = (
            update(ThreadRow)
            .where(*_owns_thread(context, thread.id), payload["title"].astext == thread.title)
            .values(
                payload=func.jsonb_set(payload, ["title"], literal(title, JSONB)),
                updated_at=func.now(),
            )
            .returning(payload)
        )
        rows = await self._database.fetch(context.user_id, statement)
        return [ThreadMetadata.model_validate(row.payload) for row in rows]

    async def save_metadata(
        self, thread_id: str, values: Mapping[str, str], context: RequestContext
    ) -> None:
        """Set these keys of the thread's metadata, and leave the rest of the thread as it is."""
        payload = ThreadRow.payload
        metadata = payload["metadata"].op("||")(literal(dict(values), JSONB))
        statement = (
            update(ThreadRow)
            .where(*_owns_thread(context, thread_id))
            .values(payload=func.jsonb_set(payload, ["metadata"], metadata))
        )
        await self._write(context, statement)

    async def load_threads(
        self, limit: int, after: str | None, order: str, context: RequestContext
    ) -> Page[ThreadMetadata]:
        """Raises `InvalidRequest` if `after` is not the id of a thread."""
        cursor = thread_cursor(context.user_id, after, order) if after else None
        values = {"owner": context.user_id, "rows": _rows(limit)}
        rows, page = await self._page(context, _page_of_threads(order), values, cursor)
        threads = [ThreadMetadata.model_validate(row.payload) for row in rows]
        return Page[ThreadMetadata](data=threads, **page)

    async def delete_thread(self, thread_id: str, context: RequestContext) -> None:
        """Delete the thread with its rows, and then its attached files."""
        attached = select(AttachmentRow.id).where(
            AttachmentRow.user_id == context.user_id, AttachmentRow.thread_id == thread_id
        )
        deleted = delete(ThreadRow).where(*_owns_thread(context, thread_id)).cte("deleted")
        rows = await self._write(context, attached.add_cte(deleted))
        if self._attachments is not None:
            await self._attachments.discard([row.id for row in rows], context)

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: RequestContext
    ) -> Page[ThreadItem]:
        """Raises `NotFound` if the thread does not exist, which the SDK does not check, and
        `InvalidRequest` if `after` is not the id of an item.

        On a retry the items of the old answer are left out: the SDK would delete those that it sees
        before it requests the new answer, and a failure between would lose the old one. The first
        item of the new answer replaces the old answer.
        """
        statement = _page_of_items(order, visible_only=context.visible_only)
        if context.retry is not None:
            statement = statement.where(_is_current(context.retry))
        cursor = item_cursor(_in_thread(context, thread_id), after, order) if after else None
        values = {**_of_thread(context, thread_id), "rows": _rows(limit)}
        rows, page = await self._page(context, statement, values, cursor)
        if not rows:
            await self.load_thread(thread_id, context)
        items = [self._item(row.payload, context) for row in rows]
        return Page[ThreadItem](data=items, **page)

    async def add_thread_item(
        self, thread_id: str, item: ThreadItem, context: RequestContext
    ) -> None:
        await self.save_item(thread_id, item, context)

    async def save_item(
        self,
        thread_id: str,
        item: ThreadItem,
        context: RequestContext,
        *,
        after_run_end: bool = False,
    ) -> None:
        """Raises `NotFound` when the thread is gone, or another worker has closed the run.

        With `after_run_end` the item is also written when the run has ended.
        """
        run = None if after_run_end else context.run
        statement = SAVE_ITEM if run is None else SAVE_ITEM_IN_RUN
        if run is not None and run.retry is not None and is_answer(item):
            statement = SAVE_ITEM_OF_RETRY
        parameters = item_parameters(context.user_id, thread_id, item, run)
        try:
            rows = await self._write(context, statement, parameters)
        except IntegrityError:
            raise NotFound(f"There is no thread {thread_id}.") from None
        if run is not None and not rows:
            raise NotFound("Another worker has closed this answer, because its heartbeat stopped.")

    async def load_item(self, thread_id: str, item_id: str, context: RequestContext) -> ThreadItem:
        statement = select(ItemRow.payload).where(
            *_in_thread(context, thread_id), ItemRow.id == item_id
        )
        payload = await self._one(context, statement, f"There is no item {item_id} in this thread.")
        return self._item(payload, context)

    def _item(self, payload: dict[str, Any], context: RequestContext) -> ThreadItem:
        item = _ITEM.validate_python(payload)
        return item if self._attachments is None else self._attachments.shown_item(item, context)

    async def delete_thread_item(
        self, thread_id: str, item_id: str, context: RequestContext
    ) -> None:
        statement = delete(ItemRow).where(*_in_thread(context, thread_id), ItemRow.id == item_id)
        await self._write(context, statement)

    async def save_attachment(self, attachment: Attachment, context: RequestContext) -> None:
        row = insert(AttachmentRow).values(
            user_id=context.user_id,
            id=attachment.id,
            thread_id=attachment.thread_id,
            payload=storable(attachment.model_dump(mode="json")),
        )
        upsert = row.on_conflict_do_update(
            index_elements=[AttachmentRow.user_id, AttachmentRow.id],
            set_={"payload": row.excluded.payload, "thread_id": row.excluded.thread_id},
        )
        # An attachment may be the first row of a new user.
        await self._write(context, upsert.add_cte(ensure_user(context.user_id).cte("owner")))

    async def load_attachment(self, attachment_id: str, context: RequestContext) -> Attachment:
        statement = select(AttachmentRow.payload).where(*_owns_attachment(context, attachment_id))
        payload = await self._one(context, statement, f"There is no attachment {attachment_id}.")
        attachment: Attachment = _ATTACHMENT.validate_python(payload)
        if self._attachments is None:
            return attachment
        return self._attachments.shown(attachment, context)

    async def delete_attachment(self, attachment_id: str, context: RequestContext) -> None:
        statement = delete(AttachmentRow).where(*_owns_attachment(context, attachment_id))
        await self._write(context, statement)

    async def save_feedback(
        self, thread_id: str, item_ids: list[str], kind: FeedbackKind, context: RequestContext
    ) -> None:
        """Store the user's feedback on these items. Raises `NotFound` if one is not theirs."""
        wanted = set(item_ids)
        owned = select(ItemRow.user_id, ItemRow.thread_id, ItemRow.id).where(
            *_in_thread(context, thread_id), ItemRow.id.in_(wanted)
        )
        async with self._database.transaction(context.user_id) as connection:
            rows = (await connection.execute(owned)).all()
            if len(rows) != len(wanted):
                raise NotFound("There is no such item in this thread.")
            values = [
                {"user_id": r.user_id, "thread_id": r.thread_id, "item_id": r.id, "kind": kind}
                for r in rows
            ]
            row = insert(FeedbackRow)
            await connection.execute(
                row.on_conflict_do_update(
                    index_elements=[
                        FeedbackRow.user_id,
                        FeedbackRow.thread_id,
                        FeedbackRow.item_id,
                    ],
                    set_={"kind": row.excluded.kind, "updated_at": row.excluded.updated_at},
                ),
                values,
            )

    async def retry_range(self, thread_id: str, item_id: str, context: RequestContext) -> Retry:
        """The range of items after the user's message: the answer that a retry replaces.

        Raises `Unavailable` if the sequence is behind: the new answer would fall into the range.
        """
        last = select(func.max(ItemRow.seq)).where(*_in_thread(context, thread_id))
        statement = select(
            ItemRow.seq, ItemRow.created_at, last.scalar_subquery().label("last")
        ).where(*_in_thread(context, thread_id), ItemRow.id == item_id)
        async with self._database.reading(context.user_id) as connection:
            row = (await connection.execute(statement)).first()
            given = await last_number(connection)
        if row is None:
            raise NotFound(f"There is no item {item_id} in this thread.")
        if given is not None and given < row.last:
            logger.error(SEQUENCE_BEHIND)
            raise Unavailable("This answer cannot be tried again right now.")
        return Retry(row.seq, row.last, row.created_at)

    async def _one(self, context: RequestContext, statement: Select[Any], missing: str) -> Any:
        rows = await self._fetch(context, statement)
        if not rows:
            raise NotFound(missing)
        return rows[0][0]

    async def _page(
        self,
        context: RequestContext,
        statement: Select[Any],
        values: Parameters,
        cursor: Cursor | None,
    ) -> tuple[Sequence[Row[Any]], dict[str, Any]]:
        """Rows with `id` and `payload`, and the fields `has_more` and `after` of the page."""
        if cursor is None:
            rows = await self._fetch(context, statement, values)
        else:
            rows = await self._fetch_after(context, statement, values, cursor)
        has_more = len(rows) == values["rows"]
        rows = rows[: values["rows"] - 1]
        return rows, {"has_more": has_more, "after": rows[-1].id if has_more else None}

    async def _fetch_after(
        self, context: RequestContext, statement: Select[Any], values: Parameters, cursor: Cursor
    ) -> Sequence[Row[Any]]:
        """The rows after the cursor, whose own row may be deleted by now."""
        rows = await self._fetch(context, statement.where(cursor.after), values)
        if rows:
            return rows
        if cursor.is_ours:
            return await self._fetch(context, statement.where(cursor.after_place), values)
        if not await self._fetch(context, cursor.row):
            raise InvalidRequest("after: this is not an id in this list.")
        return rows

    async def _fetch(
        self, context: RequestContext, statement: Select[Any], values: Parameters | None = None
    ) -> Sequence[Row[Any]]:
        retry = context.run is not None
        return await self._database.read(context.user_id, statement, values, retry=retry)

    async def _write(
        self,
        context: RequestContext,
        statement: Executable,
        parameters: Parameters | None = None,
    ) -> Sequence[Row[Any]]:
        retry = context.run is not None
        try:
            return await self._database.fetch(context.user_id, statement, parameters, retry=retry)
        except DatabaseUnreachable:
            if context.run is not None:
                context.run.has_unsaved_items = True
            raise


def _saved(thread: ThreadMetadata, context: RequestContext) -> dict[str, Any]:
    # For a new thread the SDK passes a Thread with items, which are stored in their own rows.
    payload = thread.model_dump(mode="json", include=set(ThreadMetadata.model_fields))
    return {**_of_thread(context, thread.id), "saved": storable(payload)}


def _of_thread(context: RequestContext, thread_id: str) -> dict[str, Any]:
    return {"owner": context.user_id, "thread": thread_id}


def _rows(limit: int) -> int:
    return max(1, min(limit, MAX_PAGE)) + 1


Conditions = tuple[ColumnElement[bool], ...]


def _owns_thread(context: RequestContext, thread_id: str) -> Conditions:
    return (ThreadRow.user_id == context.user_id, ThreadRow.id == thread_id)


def _in_thread(context: RequestContext, thread_id: str) -> Conditions:
    return (ItemRow.user_id == context.user_id, ItemRow.thread_id == thread_id)


def _owns_attachment(context: RequestContext, attachment_id: str) -> Conditions:
    return (AttachmentRow.user_id == context.user_id, AttachmentRow.id == attachment_id)


def _is_current(retry: Retry) -> ColumnElement[bool]:
    """True for items that are not part of the answer that a retry replaces."""
    return or_(ItemRow.seq <= retry.after_seq, ItemRow.seq > retry.last_seq)
