"""The tokens that a user has used today, read when a run begins."""

from typing import Any

from sqlalchemy import ColumnElement, Date, cast, func, select

from engine.database.rows import TokenDayRow


def tokens_of_today(user_id: ColumnElement[str]) -> ColumnElement[int]:
    used = select(TokenDayRow.tokens).where(
        TokenDayRow.user_id == user_id, TokenDayRow.day == day_of(func.now())
    )
    return func.coalesce(used.scalar_subquery(), 0)


def day_of(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(func.timezone("UTC", moment), Date)
