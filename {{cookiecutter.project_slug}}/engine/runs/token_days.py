"""The tokens that a user has used today: counted when a run ends, and read when one begins."""

from typing import Any

from sqlalchemy import ColumnElement, Date, Select, Text, Update, cast, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from engine.database.rows import RunRow, TokenDayRow


def tokens_of_today(user_id: ColumnElement[str]) -> ColumnElement[int]:
    used = select(TokenDayRow.tokens).where(
        TokenDayRow.user_id == user_id, TokenDayRow.day == _day(func.now())
    )
    return func.coalesce(used.scalar_subquery(), 0)


def counting_tokens(end: Update, user_id: str) -> Select[Any]:
    """The statement `end`, which ends a run of the user's, and counts the tokens that it sets.

    It has a row if the run has been ended by it. Done twice, it counts once.
    """
    columns = (RunRow.id, RunRow.started_at, RunRow.tokens_in, RunRow.tokens_out)
    ended = end.returning(*columns).cte("ended")
    tokens = ended.c.tokens_in + ended.c.tokens_out
    row = insert(TokenDayRow).from_select(
        ["user_id", "day", "tokens"],
        select(literal(user_id, Text), _day(ended.c.started_at), tokens).where(tokens > 0),
    )
    counted = row.on_conflict_do_update(
        index_elements=[TokenDayRow.user_id, TokenDayRow.day],
        set_={"tokens": TokenDayRow.tokens + row.excluded.tokens},
    )
    return select(ended.c.id).add_cte(counted.cte("counted"))


def _day(moment: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(func.timezone("UTC", moment), Date)
