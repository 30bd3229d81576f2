"""The `users` row, which owns everything that a user has."""

from sqlalchemy import ColumnElement
from sqlalchemy.dialects.postgresql import Insert, insert

from engine.database.rows import UserRow


def ensure_user(user_id: str | ColumnElement[str]) -> Insert:
    """The statement that makes the row unless it is there.

    It goes along with the writes that need the row, as a CTE: a user costs no statement of their
    own, and one whose row was deleted can come back.
    """
    return insert(UserRow).values(id=user_id).on_conflict_do_nothing()
