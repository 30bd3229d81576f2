"""Queries on the table of attachments that ChatKit's store interface does not have."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from chatkit.types import Attachment
from pydantic import TypeAdapter
from sqlalchemy import BigInteger, ColumnElement, Select, and_, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from engine.database.database import EVERYBODY, TABLE_PREFIX, Database
from engine.database.rows import AttachmentRow, ItemRow, UserRow
from engine.database.users import ensure_user, id_hash
from engine.text.unicode import storable

_ATTACHMENT: TypeAdapter[Attachment] = TypeAdapter(Attachment)

SWEEP_LOCK = f"{TABLE_PREFIX}attachment_sweep"


@dataclass(frozen=True)
class Use:
    """The stored bytes of one user, and the number of files that are not sent yet."""

    bytes: int
    unsent: int


class AttachmentRows:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, user_id: str, ids: Sequence[str]) -> list[Attachment]:
        """The user's attachments with these ids, in this order; missing ones are omitted."""
        if not ids:
            return []
        statement = select(AttachmentRow.id, AttachmentRow.payload).where(
            AttachmentRow.user_id == user_id, AttachmentRow.id.in_(ids)
        )
        rows = {row.id: row.payload for row in await self._database.read(user_id, statement)}
        return [_ATTACHMENT.validate_python(rows[id_]) for id_ in dict.fromkeys(ids) if id_ in rows]

    async def is_in_message(self, user_id: str, attachment: Attachment) -> bool:
        """True if a stored message contains the attachment."""
        carries = ItemRow.payload.contains({"attachments": [{"id": attachment.id}]})
        statement = select(ItemRow.id).where(
            ItemRow.user_id == user_id, ItemRow.thread_id == attachment.thread_id, carries
        )
        return bool(await self._database.read(user_id, statement.limit(1)))

    async def in_thread(self, user_id: str, thread_id: str) -> list[Attachment]:
        """The thread's files, oldest first."""
        statement = (
            select(AttachmentRow.payload)
            .where(AttachmentRow.user_id == user_id, AttachmentRow.thread_id == thread_id)
            .order_by(AttachmentRow.created_at, AttachmentRow.id)
        )
        rows = await self._database.read(user_id, statement)
        return [_ATTACHMENT.validate_python(row.payload) for row in rows]

    async def save(self, user_id: str, attachment: Attachment) -> None:
        row = insert(AttachmentRow).values(
            user_id=user_id,
            id=attachment.id,
            thread_id=attachment.thread_id,
            payload=storable(attachment.model_dump(mode="json")),
        )
        upsert = row.on_conflict_do_update(
            index_elements=[AttachmentRow.user_id, AttachmentRow.id],
            set_={"payload": row.excluded.payload},
        )
        # An upload may be a new user's first request.
        await self._database.write(user_id, upsert.add_cte(ensure_user(user_id).cte("owner")))

    async def reserve(
        self, user_id: str, attachment: Attachment, check: Callable[[Use], None]
    ) -> None:
        """Add the row of a file before it is stored; `check` raises if the user has too many.

        The user's row is locked meanwhile, so that parallel uploads cannot exceed the limit.
        """
        lock = select(UserRow.id).where(UserRow.id == user_id).with_for_update(key_share=True)
        row = insert(AttachmentRow).values(
            user_id=user_id,
            id=attachment.id,
            thread_id=attachment.thread_id,
            payload=storable(attachment.model_dump(mode="json")),
        )
        async with self._database.transaction(user_id) as connection:
            await connection.execute(ensure_user(user_id))
            await connection.execute(lock)
            used = (await connection.execute(_use_of(user_id))).one()
            check(Use(int(used.bytes), used.unsent))
            await connection.execute(row)

    async def release(self, user_id: str, attachment_id: str) -> None:
        statement = delete(AttachmentRow).where(
            AttachmentRow.user_id == user_id, AttachmentRow.id == attachment_id
        )
        await self._database.write(user_id, statement)

    async def ids(self, user_id: str) -> list[str]:
        statement = select(AttachmentRow.id).where(AttachmentRow.user_id == user_id)
        return [row.id for row in await self._database.fetch(user_id, statement)]

    async def use(self, user_id: str) -> Use:
        [row] = await self._database.read(user_id, _use_of(user_id))
        return Use(int(row.bytes), row.unsent)

    @asynccontextmanager
    async def sweeping(self) -> AsyncIterator[datetime | None]:
        """For one process at a time, until this context ends; None for others.

        It is the database's time, by which rows have an age.
        """
        lock = func.pg_try_advisory_xact_lock(func.hashtextextended(SWEEP_LOCK, 0))
        async with self._database.transaction(EVERYBODY) as connection:
            locked, moment = (await connection.execute(select(lock, func.now()))).one()
            yield moment if locked else None

    async def unsent(self, before: datetime) -> list[tuple[str, str]]:
        """Owner and id of each attachment that was created before then and never sent."""
        statement = select(AttachmentRow.user_id, AttachmentRow.id).where(_is_unsent(before))
        rows = await self._database.fetch(EVERYBODY, statement)
        return [(row.user_id, row.id) for row in rows]

    @asynccontextmanager
    async def deleting_unsent(
        self, user_id: str, id_: str, before: datetime
    ) -> AsyncIterator[bool]:
        """Delete the row when this context ends without an error; False if it has been sent."""
        row = (AttachmentRow.user_id == user_id, AttachmentRow.id == id_)
        statement = delete(AttachmentRow).where(*row, _is_unsent(before))
        async with self._database.transaction(user_id) as connection:
            yield (await connection.execute(statement)).rowcount > 0

    async def known(self, by_owner: Mapping[str, set[str]]) -> set[str]:
        """The keys, `owner/id`, that have a row; `by_owner` maps hashed user ids to ids."""
        if not by_owner:
            return set()
        owner = id_hash(UserRow.id.expression)
        owners = select(UserRow.id, owner.label("owner")).where(owner.in_(by_owner))
        known: set[str] = set()
        for user in await self._database.read(EVERYBODY, owners):
            statement = select(AttachmentRow.id).where(
                AttachmentRow.user_id == user.id, AttachmentRow.id.in_(by_owner[user.owner])
            )
            rows = await self._database.read(user.id, statement)
            known |= {f"{user.owner}/{row.id}" for row in rows}
        return known


def _is_unsent(before: datetime) -> ColumnElement[bool]:
    return and_(AttachmentRow.thread_id.is_(None), AttachmentRow.created_at < before)


def _use_of(user_id: str) -> Select[Any, int]:
    size = AttachmentRow.payload["metadata"]["bytes"].astext.cast(BigInteger)
    return select(
        func.coalesce(func.sum(size), 0).label("bytes"),
        func.count().filter(AttachmentRow.thread_id.is_(None)).label("unsent"),
    ).where(AttachmentRow.user_id == user_id)
