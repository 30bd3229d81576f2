"""The usage of anonymous visitors, per network address and for all visitors together.

Each statement locks the row of an address before that of `ALL_VISITORS`, and both before a run, so
that there are no deadlocks.
"""

from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    Date,
    DateTime,
    Delete,
    Integer,
    Select,
    Text,
    Update,
    and_,
    case,
    cast,
    delete,
    func,
    literal,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column
from sqlalchemy.sql.dml import ReturningInsert

from engine.database.database import TABLE_PREFIX, Base

# Takes the place of an address in the row that counts all visitors together.
ALL_VISITORS = "everyone"

MINUTE = timedelta(minutes=1)
NO_PAUSE = timedelta(0)

# If an address made no request for so long, its open answers are those whose end was not recorded.
RUNNING_EXPIRY = timedelta(minutes=10)

_TODAY = cast(func.timezone("UTC", func.now()), Date)


class VisitorUseRow(Base):
    """`who` is `ALL_VISITORS` or the keyed hash of an address. Rows have no owner.

    `full_at` is the time when all turns of a minute are available again; each turn moves it later.
    `running` is the number of open answers. `tokens` and `bytes` are those of the `day`.
    """

    __tablename__ = f"{TABLE_PREFIX}visitor_use"
    __table_args__ = ({"info": {"has_owner": False}},)

    who: Mapped[str] = mapped_column(Text, primary_key=True)
    full_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    running: Mapped[int] = mapped_column(Integer, server_default="0")
    day: Mapped[date] = mapped_column(Date)
    tokens: Mapped[int] = mapped_column(BigInteger, server_default="0")
    bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")


def take_turn(who: Select[Any], name: str, *, turns: int, running: int) -> CTE:
    """Take one of `turns` per minute and of `running` open answers for the row that `who` selects.

    0 is no limit. The CTE has a row if both were available.
    """
    limits = [_has_turn(turns), _running() < running if running else true()]
    values = {"full_at": _full_at_after_turn(turns), "running": _running() + 1, **_use_of_today()}
    return (
        _upsert(who, turns, values, and_(*limits), running=1).returning(VisitorUseRow.who).cte(name)
    )


def take_file(who: str, *, turns: int, size: int, per_day: int) -> ReturningInsert[str]:
    """Take a turn and `size` of the `per_day` bytes (0: no limit); a row if both were available."""
    fits = literal(per_day == 0 or size <= per_day)
    used = _today(VisitorUseRow.bytes) + size
    limits = [_has_turn(turns), used <= per_day if per_day else true()]
    values = {"full_at": _full_at_after_turn(turns), **_use_of_today(), "bytes": used}
    selected = select(literal(who, Text)).where(fits)
    return _upsert(selected, turns, values, and_(*limits), bytes=size).returning(VisitorUseRow.who)


def released(end: Update, address: str, is_running: ColumnElement[bool], tokens: int) -> Update:
    """The statement `end`, extended: if the answer `is_running`, its tokens are counted and its
    place among the open answers is free again.
    """
    names = (select(literal(name, Text).label("who")) for name in (address, ALL_VISITORS))
    both = union_all(*names).subquery()
    values = {
        "running": func.greatest(VisitorUseRow.running - 1, 0),
        **_use_of_today(),
        "tokens": _today(VisitorUseRow.tokens) + tokens,
    }
    counted = (
        _upsert(select(both.c.who).where(is_running), 0, values, true(), tokens=tokens)
        .returning(VisitorUseRow.who)
        .cte("released")
    )
    # The condition reads the CTE, so that it is executed first.
    return end.where(select(func.count(counted.c.who)).scalar_subquery() >= 0)


def release_unused(address: str) -> Update:
    return (
        update(VisitorUseRow)
        .where(VisitorUseRow.who == address)
        .values(running=func.greatest(VisitorUseRow.running - 1, 0))
    )


def delete_old() -> Delete:
    """Delete the rows of addresses without a request today or in the last minutes."""
    return delete(VisitorUseRow).where(
        VisitorUseRow.day < _TODAY, VisitorUseRow.full_at < func.now() - RUNNING_EXPIRY
    )


def seconds_until_turn(who: str | ColumnElement[str], turns: int) -> ColumnElement[float]:
    """The seconds until the next turn; 0 or less if one is available."""
    free_at = VisitorUseRow.full_at - _pause(turns) * (turns - 1)
    seconds = func.extract("epoch", free_at - func.now())
    return _of_row(who, seconds) if turns else literal(0)


def running_of(who: str | ColumnElement[str]) -> ColumnElement[int]:
    return _of_row(who, _running())


def tokens_of_today(who: str | ColumnElement[str]) -> ColumnElement[int]:
    return _of_row(who, _today(VisitorUseRow.tokens))


def seconds_of_today() -> ColumnElement[Any]:
    """The seconds until the next day (UTC)."""
    midnight = func.date_trunc("day", func.now(), "UTC") + timedelta(days=1)
    return func.extract("epoch", midnight - func.now())


def _upsert(
    who: Select[Any],
    turns: int,
    values: dict[str, Any],
    condition: ColumnElement[bool],
    **first: int,
) -> Insert:
    """Insert a row with the values `first`, or set `values` in an existing one if `condition`."""
    [name] = who.subquery().c
    selected = select(name, func.now() + _pause(turns), _TODAY, *map(literal, first.values()))
    return (
        insert(VisitorUseRow)
        .from_select(["who", "full_at", "day", *first], selected)
        .on_conflict_do_update(index_elements=[VisitorUseRow.who], set_=values, where=condition)
    )


def _use_of_today() -> dict[str, Any]:
    """The usage of today; zero if the row is from an earlier day."""
    return {
        "day": _TODAY,
        "tokens": _today(VisitorUseRow.tokens),
        "bytes": _today(VisitorUseRow.bytes),
    }


def _today(column: InstrumentedAttribute[int]) -> ColumnElement[int]:
    return case((VisitorUseRow.day == _TODAY, column), else_=0)


def _running() -> ColumnElement[int]:
    is_old = VisitorUseRow.full_at < func.now() - RUNNING_EXPIRY
    return case((is_old, 0), else_=VisitorUseRow.running)


def _pause(turns: int) -> timedelta:
    return MINUTE / turns if turns else NO_PAUSE


def _full_at_after_turn(turns: int) -> ColumnElement[datetime]:
    return func.greatest(VisitorUseRow.full_at, func.now()) + _pause(turns)


def _has_turn(turns: int) -> ColumnElement[bool]:
    latest = func.now() + _pause(turns) * (turns - 1)
    return VisitorUseRow.full_at <= latest if turns else true()


def _of_row(who: str | ColumnElement[str], value: ColumnElement[Any]) -> ColumnElement[Any]:
    """The value in the row of `who`; 0 if there is no row."""
    return func.coalesce(select(value).where(VisitorUseRow.who == who).scalar_subquery(), 0)
