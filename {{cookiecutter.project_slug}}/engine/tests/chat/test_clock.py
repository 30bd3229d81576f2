"""Times and durations when the clocks of machine and database differ, or a clock is changed."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta, tzinfo
from typing import ClassVar, Self

import pytest
from sqlalchemy import func, select, update

from engine.context.clock import now, seconds_since
from engine.database.database import Database
from engine.database.rows import TokenDayRow
from engine.runs import run_store
from engine.runs.claim import DAY
from engine.tests.chat.test_limits import ask, assert_refused
from engine.tests.fixtures import Scripted, demo_model
from engine.tests.talk import Visitor
from engine.turn import progress


class ClockAhead(datetime):
    """`datetime` on a machine whose clock is four hours ahead."""

    hours_ahead: ClassVar = 4

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(time.time() + cls.hours_ahead * 3600, tz)


class MonthAhead(ClockAhead):
    hours_ahead = 32 * 24


async def test_retry_after_uses_the_databases_clock(
    with_model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_store, "datetime", ClockAhead, raising=False)
    visitor = await with_model(demo_model(), turns_per_minute=1)
    assert (await ask(visitor)).status_code == 200

    assert 50 < assert_refused(await ask(visitor), 429, "too_many_turns") <= 60


async def test_the_end_of_the_day_uses_the_databases_clock(
    with_model: Scripted, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_store, "datetime", ClockAhead, raising=False)
    visitor = await with_model(demo_model(), tokens_per_day=1_000)
    assert (await ask(visitor)).status_code == 200
    mine = update(TokenDayRow).where(TokenDayRow.user_id == visitor.user_id)
    await database.write(visitor.user_id, mine.values(tokens=1_000))
    midnight = func.date_trunc("day", func.now(), "UTC") + DAY
    statement = select(func.extract("epoch", midnight - func.now()).label("seconds"))
    [row] = await database.fetch(visitor.user_id, statement)

    wait = assert_refused(await ask(visitor), 429, "daily_tokens_used")

    assert -1 <= row.seconds - wait < 30


@pytest.mark.parametrize("text", ["hello", "[demo:fail]"])
async def test_durations_are_not_negative_when_the_clock_is_set_back(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    begun = now() + timedelta(hours=1)
    monkeypatch.setattr(progress, "now", lambda: begun)

    turn = await visitor.say(text)

    [workflow] = turn.done("workflow")
    assert workflow["workflow"]["summary"] == {"duration": 0}
    stored = (await visitor.items(turn.thread_id))[1]
    assert stored["workflow"]["summary"] == {"duration": 0}


@pytest.fixture
def _in_berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Europe/Berlin")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_in_berlin")
@pytest.mark.parametrize(
    "moment", [datetime.fromisoformat(f"2026-{at}") for at in ("03-29 01:59:58", "10-25 02:59:58")]
)
def test_durations_ignore_daylight_saving(
    monkeypatch: pytest.MonkeyPatch, moment: datetime
) -> None:
    later = moment.timestamp() + 4
    monkeypatch.setattr(time, "time", lambda: later)

    assert seconds_since(moment) == 4
    assert datetime.fromtimestamp(later) - moment != timedelta(seconds=4)  # noqa: DTZ006
