"""Counts the use of models by user, day and model, when a run ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Numeric,
    Row,
    Select,
    Text,
    Update,
    delete,
    func,
    literal,
    literal_column,
    select,
    union_all,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.database.database import EVERYBODY, PROJECT_OWNER, Database
from engine.database.rows import RunRow, TokenDayRow, UsageRow
from engine.database.use import Use
from engine.runs.token_days import day_of

if TYPE_CHECKING:  # it imports ChatKit's SDK
    from engine.context.run import Run

KEY = ("user_id", "day", "model")
COUNTS = ("turns", "tokens_in", "tokens_cached", "tokens_out", "cost", "unpriced")
_MONEY = Numeric(20, 10)

# Gives a row's model and counts for each model of a run that has ended.
Models = Callable[[CTE], Sequence[Sequence[ColumnElement[Any]]]]


def counting(end: Update, run: "Run") -> Select[Any]:
    """The statement `end`, which ends this run, and counts what it used.

    The result has a row if the run has been ended by this statement, with the day on which it
    began. Done twice, it counts once.
    """
    use = {run.model: Use(), **run.use}
    models = [
        (literal(model, Text), *_numbers(int(model == run.model), one))
        for model, one in use.items()
    ]
    return _counting(end, run.user_id, lambda _ended: models)


def counting_unpriced(end: Update, user_id: str) -> Select[Any]:
    """The same for a run whose worker died: the tokens that `end` sets, without a price."""

    def models(ended: CTE) -> list[tuple[ColumnElement[Any], ...]]:
        tokens_in, tokens_out = ended.c.tokens_in, ended.c.tokens_out
        zero, money = literal(0, BigInteger), literal(Decimal(0), _MONEY)
        counts = (literal(1, BigInteger), tokens_in, zero, tokens_out, money)
        return [(ended.c.model, *counts, tokens_in + tokens_out)]

    return _counting(end, user_id, models)


def _counting(end: Update, user_id: str, models: Models) -> Select[Any]:
    columns = (
        *(RunRow.id, RunRow.started_at, RunRow.model),
        *(RunRow.tokens_in, RunRow.tokens_out),
    )
    ended = end.returning(*columns).cte("ended")
    owner, day = literal(user_id, Text), day_of(ended.c.started_at)
    tokens = ended.c.tokens_in + ended.c.tokens_out
    row = insert(TokenDayRow).from_select(
        ["user_id", "day", "tokens"], select(owner, day, tokens).where(tokens > 0)
    )
    counted = row.on_conflict_do_update(
        index_elements=[TokenDayRow.user_id, TokenDayRow.day],
        set_={"tokens": TokenDayRow.tokens + row.excluded.tokens},
    )
    rows = [select(owner, day, *values).select_from(ended) for values in models(ended)]
    source = rows[0] if len(rows) == 1 else union_all(*rows)
    used = adding_to(insert(UsageRow).from_select([*KEY, *COUNTS], source))
    result = select(ended.c.id, day.label("day"))
    return result.add_cte(counted.cte("counted"), used.cte("used"))


def adding_to(row: Insert) -> Insert:
    """Adds the row's numbers to those of its user, day and model, if there are some."""
    sums = {name: getattr(UsageRow, name) + getattr(row.excluded, name) for name in COUNTS}
    return row.on_conflict_do_update(
        index_elements=[UsageRow.user_id, UsageRow.day, UsageRow.model], set_=sums
    )


async def give_to(connection: AsyncConnection, user_id: str, other: str) -> None:
    """Add the numbers of one user to those of another. Each statement is about one of them."""
    of_user = select(*UsageRow.__table__.columns).where(UsageRow.user_id == user_id)
    for row in (await connection.execute(of_user)).all():
        moved = {**row._mapping, "user_id": other}
        await connection.execute(adding_to(insert(UsageRow).values(**moved)))
    await connection.execute(delete(UsageRow).where(UsageRow.user_id == user_id))


@dataclass(frozen=True)
class UsageLine:
    """Sums over all that a report does not tell apart, which then is empty."""

    period: str
    user_id: str
    model: str
    turns: int
    tokens_in: int
    tokens_cached: int
    tokens_out: int
    cost: Decimal
    unpriced: int


# How a report tells periods apart: the format of a day in PostgreSQL.
PERIODS = {"day": "YYYY-MM-DD", "month": "YYYY-MM", "total": ""}


async def report(
    database: Database, since: date, until: date, *, by: Sequence[str]
) -> list[UsageLine]:
    """The use from one day to another, both included, by `day` or `month`, `user`, `model`."""
    period = func.to_char(
        UsageRow.day, PERIODS[next((one for one in by if one in PERIODS), "total")]
    )
    nothing = literal("", Text)
    groups: list[ColumnElement[Any]] = [
        period.label("period"),
        (UsageRow.user_id if "user" in by else nothing).label("user_id"),
        (UsageRow.model if "model" in by else nothing).label("model"),
    ]
    sums = [func.sum(getattr(UsageRow, name)).label(name) for name in COUNTS]
    statement = (
        select(*groups, *sums)
        .where(UsageRow.day.between(since, until), UsageRow.user_id != PROJECT_OWNER)
        .group_by(*(literal_column(str(number)) for number in (1, 2, 3)))
        .order_by(literal_column("1"), func.sum(UsageRow.cost).desc(), literal_column("2, 3"))
    )
    rows = await database.read(EVERYBODY, statement)
    return [_line(row) for row in rows]


def _line(row: Row[Any]) -> UsageLine:
    return UsageLine(
        row.period,
        row.user_id,
        row.model,
        int(row.turns),
        int(row.tokens_in),
        int(row.tokens_cached),
        int(row.tokens_out),
        row.cost,
        int(row.unpriced),
    )


def _numbers(turns: int, use: Use) -> list[ColumnElement[Any]]:
    counts = (turns, use.tokens_in, use.cached, use.tokens_out)
    numbers: list[ColumnElement[Any]] = [literal(count, BigInteger) for count in counts]
    return [*numbers, literal(use.cost, _MONEY), literal(use.unpriced, BigInteger)]
