"""Queries of the analytics database, tested through the chat."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from app.auth import sign_in
from app.main import create_app
from engine.operate import doctor
from engine.settings.finding import Finding
from engine.settings.settings import Settings
from engine.tests.fixtures import serving, visiting
from engine.tests.talk import Turn, Visitor
from engine.tests.toolkits.sql.shop import reader, shop
from engine.toolkits.sql.database import Analytics


@pytest.fixture(scope="module")
def reader_url(postgres_url: str) -> Iterator[str]:
    with shop(postgres_url) as url, reader(url) as as_reader:
        yield as_reader


@pytest_asyncio.fixture
async def analyst(
    settings: Settings, reader_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Visitor]:
    """A visitor of an application with an analytics database."""
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", reader_url)
    async with (
        serving(create_app(settings)) as url,
        visiting(url, settings, sign_in=sign_in) as visitor,
    ):
        yield visitor


def task(turn: Turn) -> dict[str, Any]:
    [workflow] = turn.done("workflow")
    _, task = workflow["workflow"]["tasks"]
    assert task["status_indicator"] == "complete"
    return dict(task)


def table(turn: Turn) -> list[list[str]]:
    [item] = turn.done("widget")
    [table] = [part for part in item["widget"]["children"] if part["type"] == "Table"]
    return [
        ["".join(text["value"] for text in cell["children"]) for cell in row["children"]]
        for row in table["children"]
    ]


async def test_the_tables_are_listed(analyst: Visitor) -> None:
    turn = await analyst.say("Which tables are there?")

    assert "public.orders: id integer, customer text" in turn.answer
    assert "salaries" not in turn.answer
    assert (task(turn)["title"], task(turn)["icon"]) == ("Looking at the tables", "analytics")


async def test_rows_are_returned_as_text_and_shown_as_a_table(analyst: Visitor) -> None:
    sql = "SELECT customer, sum(total) AS spent FROM orders GROUP BY 1 ORDER BY 2 DESC"
    turn = await analyst.say(sql)

    assert turn.answer == "customer,spent\nAda,40.75\nGrace,20.00\n[2 rows]"
    assert table(turn) == [["customer", "spent"], ["Ada", "40.75"], ["Grace", "20.00"]]
    [item] = turn.done("widget")
    assert item["copy_text"] == "Result: customer,spent, 2 rows"
    assert task(turn)["title"] == "Querying the database"
    again = await analyst.items(turn.thread_id)
    assert [i["type"] for i in again].count("widget") == 1


async def test_after_a_refusal_the_turn_goes_on(analyst: Visitor) -> None:
    turn = await analyst.say("WITH gone AS (DELETE FROM orders RETURNING 1) SELECT * FROM gone")

    assert turn.error is None
    assert turn.answer.startswith(
        "The tool failed: the query was refused: WITH may hold only SELECT."
    )
    assert task(turn)["content"] == "This did not work."
    assert turn.done("widget") == []
    assert "[3 rows]" in (await analyst.say("SELECT * FROM orders", turn.thread_id)).answer


async def test_without_a_database_the_turn_goes_on(visitor: Visitor) -> None:
    turn = await visitor.say("hello", tool="sql")

    assert turn.error is None
    assert turn.answer.startswith("The tool failed: ANALYTICS_DATABASE_URL is not set")
    assert task(turn)["content"] == "This did not work."


async def test_with_an_unavailable_database_the_turn_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", "postgresql://user:geheim@127.0.0.1:1/shop")
    async with (
        serving(create_app(settings)) as url,
        visiting(url, settings, sign_in=sign_in) as visitor,
    ):
        turn = await visitor.say("SELECT 1")

    assert turn.error is None
    assert turn.answer.startswith("The tool failed: the analytics database does not answer.")
    assert "geheim" not in str(turn.events) + capsys.readouterr().err


async def test_values_are_shown_as_plain_text(analyst: Visitor) -> None:
    evil = "![x](https://evil.example/?q) <img src=x> | [a](b)"
    turn = await analyst.say(f"SELECT '{evil}' AS a, NULL AS b")

    assert table(turn) == [["a", "b"], [evil, ""]]
    assert '"Markdown"' not in str(turn.done("widget"))


async def test_text_that_looks_like_csv_is_quoted(analyst: Visitor) -> None:
    turn = await analyst.say("SELECT 'a,b' AS \"x,y\", 'say \"hi\"' AS b, E'1\\n2' AS c, '', NULL")

    heading = '"x,y",b,c,?column?,?column?'
    assert turn.answer == f'{heading}\n"a,b","say ""hi""","1\n2","",\n[1 rows]'


async def test_a_large_result_is_cut_at_whole_rows(analyst: Visitor) -> None:
    columns = ", ".join(f"repeat('x', 500) AS c{n}" for n in range(10))
    turn = await analyst.say(f"SELECT {columns} FROM generate_series(1, 1000)")  # noqa: S608

    *rows, last = turn.answer.splitlines()
    assert last == "[3 of 200 or more rows]"
    assert {len(row) for row in rows[1:]} == {10 * 500 + 9}
    shown = table(turn)
    assert (len(shown), len(shown[0])) == (26, 8)
    assert "25 of 200 or more rows, 8 of 10 columns" in str(turn.done("widget"))


def test_doctor_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, reader_url: str) -> None:
    assert doctor.tool_service(Analytics) == Finding(
        "warn", "ANALYTICS_DATABASE_URL is not set, so there is no database to query."
    )
    monkeypatch.setenv("ANALYTICS_DATABASE_URL", reader_url)
    assert doctor.tool_service(Analytics).state == "ok"
