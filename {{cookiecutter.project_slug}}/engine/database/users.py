"""The row of a user, to which all other rows of that user refer."""

from sqlalchemy import ColumnElement
from sqlalchemy.dialects.postgresql import Insert, insert

from engine.database.rows import UserRow


def ensure_user(user_id: str | ColumnElement[str]) -> Insert:
    """The statement that creates the row if it is missing.

    It is added as a CTE to the writes that need the row. So it costs no extra round trip, and a
    user whose row was deleted can return.
    """
    return insert(UserRow).values(id=user_id).on_conflict_do_nothing()
