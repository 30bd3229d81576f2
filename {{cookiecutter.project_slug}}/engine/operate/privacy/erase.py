"""Erases a user: rows, files, sessions, and what waits to be sent."""

import asyncio
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Table, delete, func, literal, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.database.database import ERASED_OWNER, EVERYBODY, PROJECT_OWNER, Database
from engine.database.rows import ErasedRow, UserRow
from engine.database.run_commands import stop_runs
from engine.database.tables import owned_tables, owner_column
from engine.database.users import ensure_user, id_hash
from engine.runs.usage import give_to

if TYPE_CHECKING:  # it imports the SDKs, which takes seconds
    from engine.options import Attachments

logger = logging.getLogger(__name__)

# Writes that have begun before the user's id was refused have ended after this time.
SETTLE_SECONDS = 0.5


@dataclass(frozen=True)
class Erased:
    """The number of deleted rows, and whether all files are deleted too."""

    rows: int
    files: bool


async def erase(
    database: Database, user_id: str, attachments: "Attachments | None" = None
) -> Erased:
    """Delete all that belongs to a user, at once. The id does not come back.

    What the user used stays, as numbers without a name. Can be repeated, for files that are left.
    Raises ValueError for an id that no user has.
    """
    if user_id in (PROJECT_OWNER, ERASED_OWNER):
        raise ValueError(f"{user_id} is no user.")
    async with database.transaction(EVERYBODY) as connection:
        await connection.execute(_refuse(user_id))
        await stop_runs(connection, user_id)
    await asyncio.sleep(SETTLE_SECONDS)
    async with database.transaction(EVERYBODY) as connection:
        rows = await delete_user(connection, user_id)
    # Last: an upload that was under way has lost its row by now, and stores no other file.
    files = attachments is None or await attachments.erase(user_id)
    logger.info("a user was erased: %d rows, %s files", rows, "all" if files else "not all")
    return Erased(rows, files)


async def is_erased(database: Database, user_id: str) -> bool:
    statement = select(ErasedRow.id_hash).where(ErasedRow.id_hash == id_hash(literal(user_id)))
    return bool(await database.read(EVERYBODY, statement))


async def is_known(database: Database, user_id: str) -> bool:
    """True for the id of a user who has rows, or was erased."""
    user = select(UserRow.id).where(UserRow.id == user_id)
    return bool(await database.read(user_id, user)) or await is_erased(database, user_id)


async def readmit(database: Database, user_id: str) -> bool:
    """Let an erased user come back, as a new one. False if nobody with that id was erased."""
    erased = ErasedRow.id_hash == id_hash(literal(user_id))
    async with database.transaction(EVERYBODY) as connection:
        return (await connection.execute(delete(ErasedRow).where(erased))).rowcount > 0


async def delete_user(connection: AsyncConnection, user_id: str) -> int:
    """Delete the user's rows from every table that has an owner, and keep what was used, without
    a name. Returns the number of rows. A table that is added later is among them.
    """
    await connection.execute(ensure_user(ERASED_OWNER))
    await give_to(connection, user_id, ERASED_OWNER)
    rows = 0
    for table in reversed(await existing_tables(connection)):
        deleted = await connection.execute(delete(table).where(owner_column(table) == user_id))
        rows += deleted.rowcount
    return rows


async def existing_tables(connection: AsyncConnection) -> list[Table]:
    """The tables of this database whose rows have an owner; an option may not be migrated yet."""
    tables = owned_tables()
    names = [func.to_regclass(table.name).is_not(None).label(table.name) for table in tables]
    [row] = (await connection.execute(select(*names))).all()
    return [table for table in tables if row._mapping[table.name]]


def _refuse(user_id: str) -> Any:
    """The statement that keeps the id from coming back, without naming it."""
    row = insert(ErasedRow).from_select(["id_hash"], select(id_hash(literal(user_id))))
    return row.on_conflict_do_nothing()
