"""What visitors use whom nobody has signed in: those of one network address, and all of them.

Each statement locks an address before `EVERYONE`, and both before a run, so that none of them waits
for another in a circle.
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

# In the place of an address: all visitors together.
EVERYONE = "everyone"

MINUTE = timedelta(minutes=1)
NOTHING = timedelta(0)

# Answers whose end could not be written are forgotten when an address was silent for so long.
FORGOTTEN = timedelta(minutes=10)

_TODAY = cast(func.timezone("UTC", func.now()), Date)


class VisitorUseRow(Base):
    """`who` is `EVERYONE` or an address, as a keyed hash: no user of ours, whose row it would be.

    `full_at` is when all turns of a minute are there again; each turn puts it off. `running` are
    open answers. `tokens` and `bytes` are those of the `day`.
    """

    __tablename__ = f"{TABLE_PREFIX}visitor_use"
    __table_args__ = ({"info": {"has_owner": False}},)

    who: Mapped[str] = mapped_column(Text, primary_key=True)
    full_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    running: Mapped[int] = mapped_column(Integer, server_default="0")
    day: Mapped[date] = mapped_column(Date)
    tokens: Mapped[int] = mapped_column(BigInteger, server_default="0")
    bytes: Mapped[int] = mapped_column(BigInteger, server_default="0")


def turn_taken(who: Select[Any], name: str, *, turns: int, running: int) -> CTE:
    """Takes one of so many turns a minute, and of so many open answers (0: any number), for the
    one that `who` selects; a row when there was one.
    """
    limits = [_has_turn(turns), _running() < running if running else true()]
    values = {"full_at": _later(turns), "running": _running() + 1, **_use()}
    return (
        _upsert(who, turns, values, and_(*limits), running=1).returning(VisitorUseRow.who).cte(name)
    )


def file_taken(who: str, *, turns: int, size: int, room: int) -> ReturningInsert[str]:
    """Takes a turn and so many bytes of the day's `room` (0: any number); a row if there were."""
    fits = literal(room == 0 or size <= room)
    used = _today(VisitorUseRow.bytes) + size
    limits = [_has_turn(turns), used <= room if room else true()]
    values = {"full_at": _later(turns), **_use(), "bytes": used}
    selected = select(literal(who, Text)).where(fits)
    return _upsert(selected, turns, values, and_(*limits), bytes=size).returning(VisitorUseRow.who)


def given_back(end: Update, address: str, is_running: ColumnElement[bool], tokens: int) -> Update:
    """The statement `end`, which then also counts an answer's tokens, and that it is not open any
    more, if it `is_running`.
    """
    names = (select(literal(name, Text).label("who")) for name in (address, EVERYONE))
    both = union_all(*names).subquery()
    values = {
        "running": func.greatest(VisitorUseRow.running - 1, 0),
        **_use(),
        "tokens": _today(VisitorUseRow.tokens) + tokens,
    }
    counted = (
        _upsert(select(both.c.who).where(is_running), 0, values, true(), tokens=tokens)
        .returning(VisitorUseRow.who)
        .cte("given_back")
    )
    # Looked at, so that it is done first.
    return end.where(select(func.count(counted.c.who)).scalar_subquery() >= 0)


def unused_given_back(address: str) -> Update:
    return (
        update(VisitorUseRow)
        .where(VisitorUseRow.who == address)
        .values(running=func.greatest(VisitorUseRow.running - 1, 0))
    )


def forget_old() -> Delete:
    """Whoever was not seen today or in the last minutes."""
    return delete(VisitorUseRow).where(
        VisitorUseRow.day < _TODAY, VisitorUseRow.full_at < func.now() - FORGOTTEN
    )


def wait_for_turn(who: str | ColumnElement[str], turns: int) -> ColumnElement[float]:
    """The seconds until the next turn; none or less when there is one."""
    free_at = VisitorUseRow.full_at - _pause(turns) * (turns - 1)
    seconds = func.extract("epoch", free_at - func.now())
    return _value(who, seconds) if turns else literal(0)


def running_of(who: str | ColumnElement[str]) -> ColumnElement[int]:
    return _value(who, _running())


def tokens_of_today(who: str | ColumnElement[str]) -> ColumnElement[int]:
    return _value(who, _today(VisitorUseRow.tokens))


def _upsert(
    who: Select[Any],
    turns: int,
    values: dict[str, Any],
    condition: ColumnElement[bool],
    **first: int,
) -> Insert:
    """A new row with the values `first`, or another's `values` where the condition holds."""
    [name] = who.subquery().c
    selected = select(name, func.now() + _pause(turns), _TODAY, *map(literal, first.values()))
    return (
        insert(VisitorUseRow)
        .from_select(["who", "full_at", "day", *first], selected)
        .on_conflict_do_update(index_elements=[VisitorUseRow.who], set_=values, where=condition)
    )


def _use() -> dict[str, Any]:
    """What has been used today, for a row that may be of another day."""
    return {
        "day": _TODAY,
        "tokens": _today(VisitorUseRow.tokens),
        "bytes": _today(VisitorUseRow.bytes),
    }


def _today(column: InstrumentedAttribute[int]) -> ColumnElement[int]:
    return case((VisitorUseRow.day == _TODAY, column), else_=0)


def _running() -> ColumnElement[int]:
    is_old = VisitorUseRow.full_at < func.now() - FORGOTTEN
    return case((is_old, 0), else_=VisitorUseRow.running)


def _pause(turns: int) -> timedelta:
    return MINUTE / turns if turns else NOTHING


def _later(turns: int) -> ColumnElement[datetime]:
    return func.greatest(VisitorUseRow.full_at, func.now()) + _pause(turns)


def _has_turn(turns: int) -> ColumnElement[bool]:
    latest = func.now() + _pause(turns) * (turns - 1)
    return VisitorUseRow.full_at <= latest if turns else true()


def _value(who: str | ColumnElement[str], value: ColumnElement[Any]) -> ColumnElement[Any]:
    """Of the one row that there may be; 0 without."""
    return func.coalesce(select(value).where(VisitorUseRow.who == who).scalar_subquery(), 0)
