"""Limits per network address and for all visitors, which a new cookie does not reset."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from datetime import timedelta
from importlib import import_module
from typing import Any

import httpx2
import pytest
from sqlalchemy import delete, func, select, update

from engine.auth.anonymous import visitors
from engine.auth.anonymous.rows import ALL_VISITORS, VisitorUseRow, delete_old
from engine.auth.anonymous.visitors import VisitorLimits, VisitorSettings
from engine.database.database import EVERYBODY, Database
from engine.http.addresses import Addresses
from engine.http.errors import LimitReached
from engine.page import telemetry
from engine.settings.settings import Settings
from engine.tests import application
from engine.tests.application import create_app
from engine.tests.chat.test_clock import ClockAhead
from engine.tests.chat.test_interrupted import Watched
from engine.tests.fixtures import OneModel, demo_model, serving
from engine.tests.talk import Visitor, message

HERE = "198.51.100.7"
ELSEWHERE = "203.0.113.9"


@pytest.fixture(autouse=True)
async def _nothing_was_used(database: Database) -> None:
    await database.fetch(EVERYBODY, delete(VisitorUseRow))


class Site:
    """The application with limits, behind a trusted proxy."""

    def __init__(self, url: str) -> None:
        self.url = url

    def visitor(self, address: str = HERE) -> httpx2.AsyncClient:
        """A new user without a cookie."""
        return httpx2.AsyncClient(
            base_url=self.url, headers={"X-Forwarded-For": address}, timeout=60
        )

    async def ask(self, address: str = HERE) -> httpx2.Response:
        """Send one message as a new user."""
        async with self.visitor(address) as client:
            await client.get("/config.json")
            request = {"type": "threads.create", "params": {"input": message("hello")}}
            return await client.post("/chatkit", json=request)

    async def codes(self, times: int, address: str = HERE) -> list[str]:
        return [outcome(await self.ask(address)) for _ in range(times)]


def outcome(response: httpx2.Response) -> str:
    return "ok" if response.status_code == 200 else str(response.json()["error"]["code"])


Opened = Callable[..., Any]


@pytest.fixture
async def opened(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Opened]:
    """Serve with these limits: `await opened(address_turns_per_minute=2)`."""
    async with AsyncExitStack() as stack:

        async def open_site(model: Any = None, **limits: int) -> Site:
            for name, value in limits.items():
                monkeypatch.setenv(name.upper(), str(value))
            app = create_app(settings, OneModel(settings, model or demo_model()))
            url = await stack.enter_async_context(
                serving(app, proxy_headers=True, forwarded_allow_ips="127.0.0.1")
            )
            return Site(url)

        yield open_site


async def test_a_new_cookie_does_not_reset_the_limit_per_minute(opened: Opened) -> None:
    site = await opened(address_turns_per_minute=2)

    assert await site.codes(4) == ["ok", "ok", "too_many_turns", "too_many_turns"]

    refused = await site.ask()
    assert refused.status_code == 429
    assert 20 < int(refused.headers["retry-after"]) <= 30
    # Other addresses are not limited.
    assert await site.codes(1, ELSEWHERE) == ["ok"]


async def test_two_workers_share_the_limit_per_minute(
    opened: Opened,
) -> None:
    here = await opened(address_turns_per_minute=5)
    there = await opened(address_turns_per_minute=5)

    answers = await asyncio.gather(*(site.ask() for site in (here, there) for _ in range(10)))

    assert Counter(map(outcome, answers)) == {"ok": 5, "too_many_turns": 15}


async def test_open_answers_per_address_are_limited(opened: Opened) -> None:
    model = Watched()
    site = await opened(model, address_running_answers=2)
    asking = [asyncio.create_task(site.ask()) for _ in range(6)]
    refused = []
    for first in asyncio.as_completed(asking):
        refused.append(await first)
        if len(refused) == 4:
            model.hurry()
    refused = refused[:4]

    assert {outcome(response) for response in refused} == {"too_many_answers"}
    assert [outcome(await one) for one in asking].count("ok") == 2
    # The places of ended answers are free again, and refused requests took none.
    assert await site.codes(2) == ["ok", "ok"]


async def test_tokens_per_day_and_address_are_limited(
    opened: Opened, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visitors, "datetime", ClockAhead, raising=False)
    site = await opened(address_tokens_per_day=10)

    assert await site.codes(2) == ["ok", "daily_tokens_used"]
    # Until the day ends by the database's clock.
    midnight = func.date_trunc("day", func.now(), "UTC") + timedelta(days=1)
    [row] = await database.read(EVERYBODY, select(func.extract("epoch", midnight - func.now())))
    wait = int((await site.ask()).headers["retry-after"])
    assert -2 <= row[0] - wait < 30
    assert await site.codes(1, ELSEWHERE) == ["ok"]
    # The limit starts anew on the next day.
    await database.fetch(
        EVERYBODY, update(VisitorUseRow).values(day=VisitorUseRow.day - timedelta(days=1))
    )
    assert await site.codes(2) == ["ok", "daily_tokens_used"]


@pytest.mark.parametrize(
    "limits", [{"visitors_turns_per_minute": 2}, {"visitors_tokens_per_day": 10}]
)
async def test_all_visitors_together_have_limits(opened: Opened, limits: dict[str, int]) -> None:
    site = await opened(**limits)
    codes = [code for n in range(4) for code in await site.codes(1, f"198.51.100.{n}")]

    assert codes[0] == "ok"
    assert codes[2:] == ["server_busy"] * 2


async def test_refused_requests_count_nothing(opened: Opened) -> None:
    site = await opened(address_turns_per_minute=1, visitors_turns_per_minute=3)

    assert await site.codes(8) == ["ok", *["too_many_turns"] * 7]
    assert await site.codes(1, ELSEWHERE) == ["ok"]
    assert await site.codes(1, "203.0.113.10") == ["ok"]
    assert await site.codes(1, "203.0.113.11") == ["server_busy"]


async def test_x_forwarded_for_does_not_change_the_address(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADDRESS_TURNS_PER_MINUTE", "1")
    app = create_app(settings, OneModel(settings, demo_model()))
    # Also from a private network, because no proxy is trusted.
    async with serving(app, proxy_headers=True, forwarded_allow_ips="") as url:
        site = Site(url)
        assert await site.codes(1, "10.0.0.1") == ["ok"]
        for address in ("10.0.0.2", "198.51.100.1, 10.1.2.3", "1.2.3.4"):
            assert await site.codes(1, address) == ["too_many_turns"]


async def test_telemetry_of_new_cookies_is_limited(
    opened: Opened, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        telemetry, "MINUTE", 1_000_000_000
    )  # an answer that does not end during the test
    site = await opened()
    report = {"reports": [{"kind": "log", "name": "x"}] * 20}

    async def tell() -> int:
        async with site.visitor() as client:
            await client.get("/config.json")
            response = await client.post("/telemetry", json=report)
            return int(response.status_code)

    codes = [await tell() for _ in range(settings.telemetry_per_minute // 20 * 5 + 2)]
    assert codes[0] == 204
    assert 429 in codes


async def test_when_the_total_limit_is_reached_addresses_count_nothing(
    opened: Opened, database: Database
) -> None:
    site = await opened(
        visitors_turns_per_minute=1, address_turns_per_minute=2, address_running_answers=1
    )
    assert await site.codes(1, ELSEWHERE) == ["ok"]
    assert await site.codes(3) == ["server_busy"] * 3

    await database.fetch(EVERYBODY, delete(VisitorUseRow).where(VisitorUseRow.who == ALL_VISITORS))

    assert await site.codes(1) == ["ok"]


async def test_zero_is_no_limit(opened: Opened, database: Database) -> None:
    names = VisitorSettings.model_fields
    site = await opened(**dict.fromkeys(names, 0))
    assert await site.codes(5) == ["ok"] * 5
    assert await database.fetch(EVERYBODY, select(VisitorUseRow.who)) == []


@pytest.mark.skipif(application.kind_of_files() != "local", reason="files go another way, or none")
async def test_files_count_as_turns(opened: Opened) -> None:
    site = await opened(address_turns_per_minute=3, address_bytes_per_day=2_500)

    kind = import_module("engine.tests.attachments.local.kind")

    async def attach(address: str = HERE) -> str:
        async with site.visitor(address) as client:
            await client.get("/config.json")
            visitor = Visitor(client, "whoever this is")
            return outcome(await kind.upload(visitor, b"x" * 1_000, "a.txt", "text/plain"))

    assert [await attach() for _ in range(3)] == ["ok", "ok", "daily_bytes_used"]
    assert await site.codes(2) == ["ok", "too_many_turns"]
    assert await attach() == "too_many_turns"
    assert await attach(ELSEWHERE) == "ok"


async def test_bytes_per_day_are_limited(database: Database) -> None:
    limits = VisitorLimits(
        database,
        VisitorSettings(address_bytes_per_day=100, visitors_bytes_per_day=150),
    )
    await limits.take_file("address:a", 100)
    with pytest.raises(LimitReached) as refused:
        await limits.take_file("address:a", 1)
    assert refused.value.code == "daily_bytes_used"
    await limits.take_file("address:b", 50)
    for address in ("address:c", "address:d"):
        with pytest.raises(LimitReached):
            await limits.take_file(address, 101)
        with pytest.raises(LimitReached):
            await limits.take_file(address, 10)


async def test_addresses_are_hashed_and_deleted_after_a_day(
    opened: Opened, database: Database, settings: Settings
) -> None:
    site = await opened()
    await site.ask()

    rows = await database.fetch(EVERYBODY, select(VisitorUseRow.who, VisitorUseRow.tokens))
    assert {row.who for row in rows} == {Addresses(settings).hashed(HERE), ALL_VISITORS}
    assert all(row.tokens > 0 for row in rows)
    assert not any(HERE in str(row) for row in rows)

    await database.fetch(EVERYBODY, delete_old())
    assert len(await database.fetch(EVERYBODY, select(VisitorUseRow.who))) == 2
    aged = {"day": VisitorUseRow.day - 1, "full_at": func.now() - timedelta(minutes=11)}
    await database.fetch(EVERYBODY, update(VisitorUseRow).values(**aged))
    await database.fetch(EVERYBODY, delete_old())
    assert await database.fetch(EVERYBODY, select(VisitorUseRow.who)) == []


async def test_requests_delete_old_addresses(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = VisitorLimits(database)
    await limits.take_file("address:a", 1)
    aged = {"day": VisitorUseRow.day - 1, "full_at": func.now() - timedelta(minutes=11)}
    await database.fetch(EVERYBODY, update(VisitorUseRow).values(**aged))
    await limits.sweep()
    assert len(await database.fetch(EVERYBODY, select(VisitorUseRow.who))) == 2
    monkeypatch.setattr("engine.auth.anonymous.visitors.SWEEP_SECONDS", 0)
    await limits.sweep()
    assert await database.fetch(EVERYBODY, select(VisitorUseRow.who)) == []


async def test_open_answers_without_recorded_end_expire_after_minutes(
    opened: Opened, database: Database
) -> None:
    site = await opened(address_running_answers=1)
    assert await site.codes(1) == ["ok"]
    await database.fetch(EVERYBODY, update(VisitorUseRow).values(running=1))
    assert await site.codes(1) == ["too_many_answers"]
    ago = func.now() - timedelta(minutes=11)
    await database.fetch(EVERYBODY, update(VisitorUseRow).values(full_at=ago))
    assert await site.codes(2) == ["ok", "ok"]
