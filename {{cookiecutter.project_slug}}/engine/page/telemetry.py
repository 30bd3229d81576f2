"""`POST /telemetry`: logs errors that happened in pages, as names and ids without any text."""

import logging
import time
from collections.abc import Callable
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field, StringConstraints, ValidationError

from engine.auth.base import User
from engine.auth.current import SignedIn
from engine.http.errors import InvalidRequest, TooManyReports
from engine.http.request_body import read_body

logger = logging.getLogger(__name__)

MAX_BYTES = 8_000
MINUTE = 60.0

# With anonymous users, one address may send as many reports as this number of users.
USERS_OF_ADDRESS = 5

# No spaces, so that a report cannot contain a user's text.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,79}$")]


class Report(BaseModel):
    """An event in a page, such as `error NetworkError` or `problem notReady`."""

    kind: Literal["error", "log", "problem"]
    name: Name
    ids: dict[Name, Name] = Field(default={}, max_length=5)


class Reports(BaseModel):
    session_id: Name = "-"
    reports: list[Report] = Field(min_length=1, max_length=20)


class Allowance:
    """Limits the reports that a user may send to this process in a minute."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._minute = 0
        self._used: dict[str, int] = {}

    def take(self, key: str, count: int, users: int = 1) -> None:
        """Count reports of a user or address. Raises `TooManyReports` above `users` times the limit."""
        minute, seconds = divmod(self._clock(), MINUTE)
        if minute != self._minute:
            self._minute, self._used = int(minute), {}
        used = self._used.get(key, 0) + count
        if used > self._per_minute * users:
            raise TooManyReports("This page reports too much.", MINUTE - seconds)
        self._used[key] = used


def routes(allowance: Allowance, signed_in: SignedIn) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.post("/telemetry", status_code=204)
    async def telemetry(request: Request, user: Annotated[User, Depends(signed_in)]) -> None:
        body = await read_body(request, MAX_BYTES)
        try:
            batch = Reports.model_validate_json(body)
        except ValidationError:
            # The invalid value is not quoted, because it may contain a user's text.
            raise InvalidRequest("reports: expected a list of reports.") from None
        allowance.take(user.id, len(batch.reports))
        if user.address is not None:
            allowance.take(user.address, len(batch.reports), users=USERS_OF_ADDRESS)
        for report in batch.reports:
            ids = {"session": batch.session_id, **report.ids}
            words = " ".join(f"{name}={value}" for name, value in ids.items())
            level = logging.INFO if report.kind == "log" else logging.WARNING
            logger.log(level, "in a page: %s %s %s", report.kind, report.name, words)

    return router
