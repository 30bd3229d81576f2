"""Limits for anonymous visitors, per network address and in total.

Limits per user have no effect on them, because each new cookie is a new user.
"""

import time
from collections.abc import Iterator
from typing import Any

from pydantic import Field
from sqlalchemy import ColumnElement, FromClause, Row, Text, Update, bindparam, literal, select

from engine.auth.anonymous.rows import (
    ALL_VISITORS,
    delete_old,
    release_unused,
    released,
    running_of,
    seconds_of_today,
    seconds_until_turn,
    take_file,
    take_turn,
    tokens_of_today,
)
from engine.database.database import EVERYBODY, Database
from engine.http.errors import (
    DailyTokensUsed,
    LimitReached,
    ServerBusy,
    TooManyAnswers,
    TooManyTurns,
)
from engine.settings.settings import EnvSettings

SOON_SECONDS = 5
SWEEP_SECONDS = 3_600

LATER = "You have used up today's allowance. Please come back later."
BUSY = "The server is busy right now. Please try again."

_ADDRESS = bindparam("address", type_=Text)


class VisitorSettings(EnvSettings):
    """Limits for one network address, and for all visitors together. 0 is no limit."""

    address_turns_per_minute: int = Field(default=60, ge=0)
    address_running_answers: int = Field(default=20, ge=0)
    address_tokens_per_day: int = Field(default=5_000_000, ge=0)
    address_bytes_per_day: int = Field(default=1_000_000_000, ge=0)
    visitors_turns_per_minute: int = Field(default=600, ge=0)
    visitors_tokens_per_day: int = Field(default=20_000_000, ge=0)
    visitors_bytes_per_day: int = Field(default=20_000_000_000, ge=0)

    @property
    def are_set(self) -> bool:
        return any(self.model_dump().values())


class DailyBytesUsed(LimitReached):
    code = "daily_bytes_used"


class VisitorLimits:
    """Implements `SharedLimits`."""

    def __init__(self, database: Database, settings: VisitorSettings | None = None) -> None:
        self._database = database
        self._settings = settings or VisitorSettings()
        self._swept_at = time.monotonic()

    def take(
        self, seen: FromClause, conditions: list[ColumnElement[bool]]
    ) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
        limits = self._settings
        # A refused request must take nothing; otherwise refusals would use up the shared limits.
        all_conditions = [*conditions, *self._is_below_limits()]
        by_address = take_turn(
            select(_ADDRESS.label("who")).select_from(seen).where(*all_conditions),
            "taken_by_address",
            turns=limits.address_turns_per_minute,
            running=limits.address_running_answers,
        )
        taken = by_address
        if limits.visitors_turns_per_minute:
            taken = take_turn(
                select(literal(ALL_VISITORS, Text).label("who")).select_from(by_address),
                "taken_by_everyone",
                turns=limits.visitors_turns_per_minute,
                running=0,
            )
        return select(taken.c.who).exists(), select(by_address.c.who).exists()

    def columns(self) -> list[ColumnElement[Any]]:
        limits = self._settings
        return [
            seconds_until_turn(_ADDRESS, limits.address_turns_per_minute).label("address_wait"),
            running_of(_ADDRESS).label("address_running"),
            tokens_of_today(_ADDRESS).label("address_tokens"),
            seconds_until_turn(ALL_VISITORS, limits.visitors_turns_per_minute).label(
                "visitors_wait"
            ),
            tokens_of_today(ALL_VISITORS).label("visitors_tokens"),
            seconds_of_today().label("seconds_of_today"),
        ]

    def refuse(self, row: Row[Any]) -> None:
        limits = self._settings
        if 0 < limits.address_running_answers <= row.address_running:
            raise TooManyAnswers("Too much at once. Please try again in a moment.", SOON_SECONDS)
        if row.address_wait > 0:
            wait = float(row.address_wait)
            raise TooManyTurns("That was a lot in one minute. Please wait a moment.", wait)
        if 0 < limits.address_tokens_per_day <= row.address_tokens:
            raise DailyTokensUsed(LATER, float(row.seconds_of_today))
        if row.visitors_wait > 0:
            raise ServerBusy(BUSY, float(row.visitors_wait))
        if 0 < limits.visitors_tokens_per_day <= row.visitors_tokens:
            raise ServerBusy(BUSY, float(row.seconds_of_today))

    def release(
        self, end: Update, address: str, is_running: ColumnElement[bool], tokens: int
    ) -> Update:
        return released(end, address, is_running, tokens)

    async def release_unused(self, address: str) -> None:
        await self._database.fetch(EVERYBODY, release_unused(address))

    async def take_file(self, address: str, size: int) -> None:
        limits = self._settings
        for who, turns, per_day in (
            (address, limits.address_turns_per_minute, limits.address_bytes_per_day),
            (ALL_VISITORS, limits.visitors_turns_per_minute, limits.visitors_bytes_per_day),
        ):
            statement = take_file(who, turns=turns, size=size, per_day=per_day)
            if not await self._database.fetch(EVERYBODY, statement):
                columns = select(*self.columns())
                [row] = await self._database.fetch(EVERYBODY, columns, {"address": address})
                self.refuse(row)
                raise DailyBytesUsed(LATER, float(row.seconds_of_today))

    async def sweep(self) -> None:
        """Once an hour, delete the rows of addresses that are not used any more."""
        if time.monotonic() - self._swept_at > SWEEP_SECONDS:
            self._swept_at = time.monotonic()
            await self._database.fetch(EVERYBODY, delete_old())

    def _is_below_limits(self) -> Iterator[ColumnElement[bool]]:
        limits = self._settings
        if limits.address_tokens_per_day:
            yield tokens_of_today(_ADDRESS) < limits.address_tokens_per_day
        if limits.visitors_tokens_per_day:
            yield tokens_of_today(ALL_VISITORS) < limits.visitors_tokens_per_day
        yield seconds_until_turn(ALL_VISITORS, limits.visitors_turns_per_minute) <= 0
