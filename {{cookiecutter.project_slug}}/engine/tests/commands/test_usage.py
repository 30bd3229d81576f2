"""`python3 -m app usage`: rows of several users, days and models."""

import asyncio
import csv
import json
import secrets
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from sqlalchemy import insert

from dev import __main__ as cli
from engine.database.database import EVERYBODY, PROJECT_OWNER, Database
from engine.database.rows import UsageRow
from engine.database.users import ensure_user
from engine.operate.commands import usage
from engine.operate.commands.migrate import upgrade
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.chat.test_clock import MonthAhead
from engine.tests.fixtures import new_database, serving, visiting

# User, day, model; turns, tokens in, cached, out; money; tokens without a price.
USED = [
    ("ada", date(2026, 1, 1), "large", 2, 1_000, 600, 100, "0.5", 0),
    ("ada", date(2026, 1, 31), "small", 1, 100, 0, 10, "0.01", 0),
    ("ada", date(2026, 2, 1), "large", 1, 500, 0, 50, "0.25", 0),
    ("grace", date(2026, 1, 31), "large", 3, 3_000, 0, 300, "1.5", 0),
    ("grace", date(2026, 1, 31), "own", 1, 70, 0, 7, "0", 77),
    ("grace", date(2026, 1, 31), "demo", 5, 900, 0, 90, "0", 0),
    (PROJECT_OWNER, date(2026, 1, 31), "large", 0, 9, 0, 9, "9", 0),
]


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, f"usage_{secrets.token_hex(4)}") as url:
        upgrade(url)
        asyncio.run(fill(url))
        yield url


async def fill(url: str) -> None:
    database = Database(url)
    names = [column.name for column in UsageRow.__table__.columns]
    for user, *rest in USED:
        await database.write(EVERYBODY, ensure_user(user))
        values = dict(zip(names, [user, *rest], strict=True))
        await database.write(EVERYBODY, insert(UsageRow).values(**values))
    await database.dispose()


@pytest.fixture(autouse=True)
def _url(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", url)


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert cli.main(["usage", *arguments]) == 0
    return capsys.readouterr().out


JANUARY = ("--since", "2026-01-01", "--until", "2026-01-31")


def test_a_table_of_users_with_a_total(capsys: pytest.CaptureFixture[str]) -> None:
    table = [line.split() for line in said(capsys, *JANUARY).splitlines()]
    assert " ".join(table[0]) == ("user turns tokens in cached tokens out US dollars without price")
    assert table[1:] == [
        ["grace", "9", "3,970", "0", "397", "1.5000", "77"],
        ["ada", "3", "1,100", "600", "110", "0.5100", "0"],
        ["all", "12", "5,070", "600", "507", "2.0100", "77"],
    ]


@pytest.mark.parametrize(
    ("by", "rows"),
    [
        ("month", [["2026-01", 12], ["2026-02", 1]]),
        ("day", [["2026-01-01", 2], ["2026-01-31", 10], ["2026-02-01", 1]]),
        ("model", [["large", 6], ["small", 1], ["demo", 5], ["own", 1]]),
        (
            "month,user",
            [["2026-01", "grace", 9], ["2026-01", "ada", 3], ["2026-02", "ada", 1]],
        ),
        ("", [[13]]),
    ],
)
def test_it_is_told_apart_as_wanted(
    capsys: pytest.CaptureFixture[str], by: str, rows: list[list[object]]
) -> None:
    found = json.loads(said(capsys, "--since", "2026-01-01", "--by", by, "--json"))
    parts = [part for part in by.split(",") if part]
    assert [[*(row[part] for part in parts), row["turns"]] for row in found] == rows


def test_the_demo_is_no_model_that_costs(capsys: pytest.CaptureFixture[str]) -> None:
    found = json.loads(said(capsys, *JANUARY, "--by", "model", "--json"))
    [demo] = [row for row in found if row["model"] == "demo"]
    assert (demo["US_dollars"], demo["without_price"]) == (0, 0)


def test_csv(capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(said(capsys, *JANUARY, "--by", "user", "--csv").splitlines()))
    assert [row["user"] for row in rows] == ["grace", "ada"]
    assert Decimal(rows[1]["US dollars"]) == Decimal("0.51")
    assert rows[1]["tokens in"] == "1100"


def test_a_day_without_turns(capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "--day", "2001-02-03") == "No turns on 2001-02-03.\n"
    assert said(capsys, "--day", "2001-02-03", "--json") == "[]\n"


def test_today_is_the_databases(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "datetime", MonthAhead, raising=False)
    before = datetime.now(UTC).date()

    line = said(capsys)

    assert line in {f"No turns on {day}.\n" for day in (before, datetime.now(UTC).date())}


@pytest.mark.parametrize("by", ["year", "day,month"])
def test_what_cannot_be_told_apart_is_refused(capsys: pytest.CaptureFixture[str], by: str) -> None:
    with pytest.raises(SystemExit):
        cli.main(["usage", "--by", by])
    assert "argument --by" in capsys.readouterr().err


def test_turns_are_counted_for_each_user_also_in_deleted_conversations(
    url: str, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    async def two_users(changed: Settings) -> list[str]:
        async with (
            serving(create_app(changed)) as address,
            visiting(address, changed) as one,
            visiting(address, changed) as other,
        ):
            turn = await one.say("hello")
            await one.say("and again, " * 50, turn.thread_id)
            await other.say("hello")
            await one.send("threads.delete", thread_id=turn.thread_id)
        return [one.user_id, other.user_id]

    users = asyncio.run(two_users(settings.model_copy(update={"database_url": url})))

    found = json.loads(said(capsys, "--by", "user,model", "--json"))
    assert {(row["user"], row["model"], row["turns"]) for row in found} == {
        (users[0], "demo", 2),
        (users[1], "demo", 1),
    }
    assert all(row["tokens_in"] > 0 and row["tokens_out"] > 0 for row in found)
