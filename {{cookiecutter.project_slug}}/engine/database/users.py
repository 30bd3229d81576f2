"""The row of a user, to which all other rows of that user refer."""

import re

from sqlalchemy import ColumnElement, Text, cast, func, literal, select
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.exc import IntegrityError

from engine.database.rows import ErasedRow, UserRow

# The key of a table's owner; a shard's name has a number at the end.
_OWNER_KEY = re.compile(r"_user_id_fkey(_\d+)?$")


def ensure_user(user_id: str | ColumnElement[str]) -> Insert:
    """The statement that creates the row if it is missing.

    It is added as a CTE to the writes that need the row. So it costs no extra round trip. A user
    whose row was deleted can return, and one who was erased cannot: rows that refer to the user are
    then refused, see `refers_to_no_user`.
    """
    id_ = literal(user_id, Text) if isinstance(user_id, str) else user_id
    erased = select(ErasedRow.id_hash).where(ErasedRow.id_hash == id_hash(id_))
    row = insert(UserRow).from_select(["id"], select(id_).where(~erased.exists()))
    return row.on_conflict_do_nothing()


def id_hash(user_id: ColumnElement[str]) -> ColumnElement[str]:
    """By which an erased user is recognised, and cannot be named."""
    return func.encode(func.sha256(func.convert_to(cast(user_id, Text), "UTF8")), "hex")


def refers_to_no_user(error: IntegrityError) -> bool:
    """True for the refusal of a row whose user does not exist."""
    refused = error.orig.__cause__ if error.orig else None
    name = getattr(refused, "constraint_name", None)
    return isinstance(name, str) and _OWNER_KEY.search(name) is not None
