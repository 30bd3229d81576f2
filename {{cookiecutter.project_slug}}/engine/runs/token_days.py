"""The tokens that a user has used today, read when a run begins."""

from datetime import date
from typing import Any

from sqlalchemy import ColumnElement, Date, cast, func, select

from engine.database.database import EVERYBODY, Database
from engine.database.rows import TokenDayRow


def tokens_of_today(user_id: ColumnElement[str]) -> ColumnElement[int]:
    used = select(TokenDayRow.tokens).where(
        TokenDayRow.user_id == user_id, TokenDayRow.day == day_of(func.now())
    )
    return func.coalesce(used.scalar_subquery(), 0)


async def today(database: Database) -> date:
    """The day (UTC) by the database's clock, by which use is counted."""
    [row] = await database.read(EVERYBODY, select(day_of(func.now()).label("day")))
    day: date = row.day
    return day


def day_of(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(func.timezone("UTC", moment), Date)
