"""Budgets are enforced on all workers, and announced once."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from sqlalchemy import delete, func, select, text, update
from standardwebhooks import Webhook as Receiver

from engine.database.database import EVERYBODY, PROJECT_OWNER, Database
from engine.database.rows import BudgetRow, UsageRow
from engine.operate import webhook
from engine.runs import budgets, run_store
from engine.runs.budgets import Budget
from engine.settings.settings import Settings, UnusableSettings
from engine.tests.chat.test_clock import MonthAhead
from engine.tests.chat.test_limits import assert_refused
from engine.tests.fixtures import LogLines
from engine.tests.talk import Visitor, message, until
from engine.tests.usage.fixtures import DOLLARS, Paying

SECRET = "whsec_" + base64.b64encode(b"a secret of twenty-four.").decode()
DAY_SECONDS = 24 * 3_600


@pytest_asyncio.fixture(autouse=True)
async def _no_totals(database: Database) -> None:
    """Nobody has spent anything yet."""
    for row in (UsageRow, BudgetRow):
        await database.write(EVERYBODY, delete(row))


@pytest.fixture
def said() -> Iterator[list[str]]:
    """The log's lines about budgets."""
    kept = LogLines()
    logger = logging.getLogger("engine.runs.budgets")
    logger.addHandler(kept)
    yield kept.lines
    logger.removeHandler(kept)


async def ask(visitor: Visitor) -> Any:
    return await visitor.send("threads.create", input=message("hello"))


async def spent(database: Database, owner: str) -> Decimal:
    cost = select(func.coalesce(func.sum(UsageRow.cost), 0)).where(UsageRow.user_id == owner)
    [row] = await database.read(EVERYBODY, cost)
    return Decimal(row[0])


@pytest.mark.parametrize(
    ("setting", "most_seconds"),
    [("user_budget_per_day", DAY_SECONDS), ("user_budget_per_month", 31 * DAY_SECONDS)],
)
async def test_a_user_has_so_much_money(
    paying: Paying, database: Database, setting: str, most_seconds: int
) -> None:
    visitor = await paying(**{setting: Decimal(3)})
    other = await paying(**{setting: Decimal(3)})
    assert (await ask(visitor)).status_code == 200
    assert await spent(database, visitor.user_id) == DOLLARS
    assert (await ask(visitor)).status_code == 200

    wait = assert_refused(await ask(visitor), 429, "budget_used")

    assert 0 < wait <= most_seconds
    assert (await ask(other)).status_code == 200
    # On another worker too, and until the period is over.
    elsewhere = await paying(visitor.user_id, **{setting: Decimal(3)})
    assert_refused(await ask(elsewhere), 429, "budget_used")
    last = datetime.now(UTC).date().replace(day=1) - timedelta(days=1)
    mine = UsageRow.user_id == visitor.user_id
    await database.write(visitor.user_id, update(UsageRow).where(mine).values(day=last))
    assert (await ask(visitor)).status_code == 200


@pytest.mark.parametrize(
    "setting", [f"{of}budget_per_{period}" for of in ("", "user_") for period in ("day", "month")]
)
async def test_days_and_months_are_those_of_the_databases_clock(
    paying: Paying, database: Database, setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (budgets, run_store):
        monkeypatch.setattr(module, "datetime", MonthAhead, raising=False)
    visitor = await paying(**{setting: Decimal(3)})
    assert (await ask(visitor)).status_code == 200
    assert (await ask(visitor)).status_code == 200

    wait = assert_refused(await ask(visitor), 429, "budget_used")

    period = setting.rpartition("_")[2]
    end = func.date_trunc(period, func.now(), "UTC") + text(f"interval '1 {period}'")
    [row] = await database.read(EVERYBODY, select(func.extract("epoch", end - func.now())))
    assert abs(row[0] - wait) < 30


@pytest.mark.parametrize("setting", ["budget_per_day", "budget_per_month"])
async def test_all_have_so_much_money_together(
    paying: Paying, database: Database, setting: str
) -> None:
    one = await paying(**{setting: Decimal(3)})
    other = await paying(**{setting: Decimal(3)})
    assert (await ask(one)).status_code == 200
    assert (await ask(other)).status_code == 200
    assert await spent(database, PROJECT_OWNER) == 2 * DOLLARS

    for visitor in (one, other):
        response = await ask(visitor)
        assert assert_refused(response, 429, "budget_used") > 0
        assert "service" in response.json()["message"]


async def test_what_was_spent_before_the_budget_was_set_counts(paying: Paying) -> None:
    before = await paying()
    for _ in range(2):
        assert (await ask(before)).status_code == 200
    now = await paying(budget_per_month=Decimal(3))
    assert_refused(await ask(now), 429, "budget_used")


async def test_the_demo_uses_up_no_budget(paying: Paying, database: Database) -> None:
    visitor = await paying(
        openai_api_key=None, budget_per_day=Decimal("0.01"), user_budget_per_day=Decimal("0.01")
    )
    for _ in range(3):
        assert (await ask(visitor)).status_code == 200
    models = select(UsageRow.model, UsageRow.cost).where(UsageRow.user_id == visitor.user_id)
    assert [tuple(row) for row in await database.read(EVERYBODY, models)] == [("demo", 0)]


async def test_without_a_budget_nothing_is_asked(paying: Paying, database: Database) -> None:
    visitor = await paying()
    assert (await ask(visitor)).status_code == 200
    assert await spent(database, PROJECT_OWNER) == 0


async def test_four_fifths_and_all_of_it_are_announced_once(
    paying: Paying, said: list[str]
) -> None:
    settings = {"user_budget_per_day": Decimal("4.5")}
    visitor = await paying(**settings)
    elsewhere = await paying(visitor.user_id, **settings)
    for number, worker in enumerate((visitor, elsewhere, visitor)):
        assert (await ask(worker)).status_code == 200
        assert len([line for line in said if "80 %" in line]) == (number > 0)

    assert said == [
        f"80 % of USER_BUDGET_PER_DAY are used: 4.00 of 4.5 US dollars by {visitor.user_id!r}",
        f"100 % of USER_BUDGET_PER_DAY are used: 6.00 of 4.5 US dollars by {visitor.user_id!r}",
    ]


class Inbox:
    """A receiver of webhooks, which answers with the status codes in `answers`, then 204."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((headers, body))
        status = self.answers.pop(0) if self.answers else 204
        writer.write(f"HTTP/1.1 {status} -\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest_asyncio.fixture
async def inbox() -> AsyncIterator[tuple[Inbox, str]]:
    inbox = Inbox()
    server = await asyncio.start_server(inbox.handle, "127.0.0.1", 0)
    yield inbox, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hook"
    server.close()


async def test_the_webhook_is_signed(
    paying: Paying, inbox: tuple[Inbox, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "PAUSES_SECONDS", (0, 0.01, 0.01))
    box, url = inbox
    box.answers = [500]  # and it is sent again
    hook = {"webhook_url": url, "webhook_secret": SecretStr(SECRET)}
    visitor = await paying(budget_per_month=Decimal(2), **hook)

    assert (await ask(visitor)).status_code == 200

    async def two_more() -> bool:
        return len(box.requests) == 3

    await until(two_more)
    events = [Receiver(SECRET).verify(body, headers) for headers, body in box.requests]
    assert {event["type"] for event in events} == {"budget.reached"}
    assert {event["data"]["percent"] for event in events} == {80, 100}
    assert events[0]["data"]["budget"] == "BUDGET_PER_MONTH"
    assert events[0]["data"]["user"] is None
    assert Decimal(events[0]["data"]["spent_usd"]) == DOLLARS
    # One that is sent again has the same id, by which it is recognised.
    assert len({headers["webhook-id"] for headers, _ in box.requests}) == 2
    forged = {**box.requests[0][0], "webhook-signature": "v1,AAAA"}
    with pytest.raises(Exception, match="No matching signature"):
        Receiver(SECRET).verify(box.requests[0][1], forged)


async def test_a_webhook_that_fails_harms_no_answer(
    paying: Paying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook, "PAUSES_SECONDS", (0,))
    kept = LogLines()
    logger = logging.getLogger("engine.operate.webhook")
    logger.addHandler(kept)
    hook = {"webhook_url": "http://127.0.0.1:9/", "webhook_secret": SecretStr(SECRET)}
    visitor = await paying(budget_per_month=Decimal(2), **hook)

    assert (await ask(visitor)).status_code == 200

    async def is_logged() -> bool:
        return len(kept.lines) == 2

    await until(is_logged)
    logger.removeHandler(kept)
    assert "Check WEBHOOK_URL" in kept.lines[0]
    assert SECRET not in str(kept.lines)


@pytest.mark.parametrize("secret", ["", "whsec_"])
def test_a_webhook_needs_a_secret(settings: Settings, secret: str) -> None:
    changes = {"webhook_url": "http://hook.test", "webhook_secret": SecretStr(secret)}
    with pytest.raises(UnusableSettings, match="WEBHOOK_SECRET"):
        webhook.Webhook(settings.model_copy(update=changes))


def test_a_month_ends_with_its_last_day() -> None:
    month = Budget("BUDGET_PER_MONTH", "month", Decimal(1), is_of_all=True)
    for first, next_ in (((2026, 1, 31), (2026, 2, 1)), ((2026, 12, 5), (2027, 1, 1))):
        assert month.ends(date(*first)) == date(*next_)
        assert month.begins(date(*first)) == date(*first).replace(day=1)
