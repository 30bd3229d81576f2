"""Budgets in money, for a user and for all together, in a day and in a month (UTC).

Days and months are those of the database's clock, which all workers share. What was used is counted when a run ends, so answers under way may go beyond a budget. All together
have rows of their own, of which the owner is the project, so that one row for each day and model is
read however many users there are.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from sqlalchemy import ColumnElement, Date, DateTime, Text, cast, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from engine.context.run import Run
from engine.database.database import EVERYBODY, PROJECT_OWNER, Database
from engine.database.rows import BudgetRow, UsageRow
from engine.database.use import Use
from engine.database.users import ensure_user
from engine.http.errors import LimitReached
from engine.runs.token_days import day_of
from engine.runs.usage import COUNTS, KEY, adding_to
from engine.settings.settings import Settings

logger = logging.getLogger(__name__)

# Shares of a budget, in percent, that are announced.
ANNOUNCED = (80, 100)

OF_ALL = "This service has used up its allowance. Please come back later."
OF_USER = {
    "day": "You have used up today's allowance. Please come back later.",
    "month": "You have used up this month's allowance. Please come back later.",
}

Period = Literal["day", "month"]


class BudgetUsed(LimitReached):
    code = "budget_used"


@dataclass(frozen=True)
class Budget:
    """`name` is the setting's. `amount` is in US dollars."""

    name: str
    period: Period
    amount: Decimal
    is_of_all: bool

    def begins(self, day: date) -> date:
        return day if self.period == "day" else day.replace(day=1)

    def ends(self, day: date) -> date:
        """The first day of the next period."""
        if self.period == "day":
            return day + timedelta(days=1)
        return (day.replace(day=28) + timedelta(days=4)).replace(day=1)

    def owner(self, user_id: str) -> str:
        return PROJECT_OWNER if self.is_of_all else user_id


@dataclass(frozen=True)
class Notice:
    """That a share of a budget has been used. `user_id` is None for the budget of all."""

    budget: str
    percent: int
    spent: Decimal
    amount: Decimal
    begins: date
    user_id: str | None


@dataclass(frozen=True)
class Spent:
    """The spending of one owner on a day, and in its month. `moment` is the database's time."""

    moment: datetime
    day: Decimal
    month: Decimal

    def of(self, period: Period) -> Decimal:
        return self.day if period == "day" else self.month


Announce = Callable[[Notice], Coroutine[Any, Any, None]]


def budgets_of(settings: Settings) -> Iterator[Budget]:
    periods: tuple[Period, ...] = ("day", "month")
    for period in periods:
        for prefix in ("", "user_"):
            name = f"{prefix}budget_per_{period}"
            if amount := getattr(settings, name):
                yield Budget(name.upper(), period, amount, is_of_all=not prefix)


class Budgets:
    def __init__(self, settings: Settings, database: Database, announce: Announce) -> None:
        self._budgets = list(budgets_of(settings))
        self._database = database
        self._announce = announce
        self._announcing: set[asyncio.Task[None]] = set()
        self._has_totals = False

    async def check(self, user_id: str) -> None:
        """Raises `BudgetUsed`."""
        for budget, spent in await self._spent(user_id, day_of(func.now())):
            if spent.of(budget.period) >= budget.amount:
                message = OF_ALL if budget.is_of_all else OF_USER[budget.period]
                end = datetime.combine(budget.ends(spent.moment.date()), datetime.min.time(), UTC)
                raise BudgetUsed(message, (end - spent.moment).total_seconds())

    async def count(self, run: Run, day: date) -> None:
        """Count among all what a run used that began on that day, and announce what is due."""
        began = literal(day, Date)
        if any(budget.is_of_all for budget in self._budgets):
            await self._ensure_totals(began)
            for model, use in run.use.items():
                await self._add_to_totals(day, model, use)
        for budget, spent in await self._spent(run.user_id, began):
            await self._announce_once(budget, spent.of(budget.period), run.user_id, day)

    async def close(self) -> None:
        if self._announcing:
            await asyncio.wait(self._announcing)

    async def _spent(self, user_id: str, day: ColumnElement[date]) -> list[tuple[Budget, Spent]]:
        """One statement for the user, and one for all."""
        owners = {budget.owner(user_id) for budget in self._budgets}
        spent = {owner: await self._spent_by(owner, day) for owner in owners}
        return [(budget, spent[budget.owner(user_id)]) for budget in self._budgets]

    async def _spent_by(self, owner: str, day: ColumnElement[date]) -> Spent:
        if owner == PROJECT_OWNER:
            await self._ensure_totals(day)
        first = _first_of_month(day)
        in_month = (UsageRow.day >= first) & (UsageRow.day < first + func.make_interval(0, 1))
        on_day = func.sum(UsageRow.cost).filter(UsageRow.day == day)
        statement = select(
            func.now().label("moment"),
            func.coalesce(on_day, 0).label("day"),
            func.coalesce(func.sum(UsageRow.cost), 0).label("month"),
        ).where(UsageRow.user_id == owner, in_month)
        [row] = await self._database.read(owner, statement)
        return Spent(row.moment.astimezone(UTC), row.day, row.month)

    async def _add_to_totals(self, day: date, model: str, use: Use) -> None:
        row = insert(UsageRow).values(
            user_id=PROJECT_OWNER,
            day=day,
            model=model,
            turns=0,
            tokens_in=use.tokens_in,
            tokens_cached=use.cached,
            tokens_out=use.tokens_out,
            cost=use.cost,
            unpriced=use.unpriced,
        )
        async with self._database.transaction(PROJECT_OWNER) as connection:
            await connection.execute(adding_to(row))

    async def _ensure_totals(self, day: ColumnElement[date]) -> None:
        """Sum up this month, for a budget that was not there from its beginning."""
        if self._has_totals:
            return
        month = _first_of_month(day)
        columns = [getattr(UsageRow, name) for name in COUNTS]
        sums = (
            select(
                literal(PROJECT_OWNER, Text), UsageRow.day, UsageRow.model, *map(func.sum, columns)
            )
            .where(UsageRow.day >= month, UsageRow.user_id != PROJECT_OWNER)
            .group_by(UsageRow.day, UsageRow.model)
        )
        known = select(UsageRow.day).where(UsageRow.user_id == PROJECT_OWNER, UsageRow.day >= month)
        async with self._database.transaction(EVERYBODY) as connection:
            await connection.execute(ensure_user(PROJECT_OWNER))
            if (await connection.execute(known.limit(1))).first() is None:
                for row in (await connection.execute(sums)).all():
                    values = dict(zip((*KEY, *COUNTS), row, strict=True))
                    await connection.execute(
                        insert(UsageRow).values(**values).on_conflict_do_nothing()
                    )
        self._has_totals = True

    async def _announce_once(self, budget: Budget, spent: Decimal, user_id: str, day: date) -> None:
        """In the log and to the webhook, by one of all workers."""
        for percent in ANNOUNCED:
            if spent * 100 < budget.amount * percent:
                continue
            owner = budget.owner(user_id)
            row = insert(BudgetRow).values(
                user_id=owner, budget=budget.name, begins=budget.begins(day), percent=percent
            )
            first = row.on_conflict_do_nothing().returning(BudgetRow.percent)
            if not await self._database.fetch(owner, first):
                continue
            of_user = None if budget.is_of_all else user_id
            notice = Notice(budget.name, percent, spent, budget.amount, budget.begins(day), of_user)
            logger.warning(
                "%d %% of %s are used: %s of %s US dollars%s",
                *(percent, budget.name, f"{spent:.2f}", budget.amount),
                f" by {of_user!r}" if of_user else "",
            )
            task = asyncio.create_task(self._announce(notice))
            self._announcing.add(task)
            task.add_done_callback(self._announcing.discard)


def _first_of_month(day: ColumnElement[date]) -> ColumnElement[date]:
    return cast(func.date_trunc("month", cast(day, DateTime)), Date)
