"""`python3 -m app feedback`, on rated answers of several users."""

import asyncio
import csv
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from agents import Agent
from pydantic import SecretStr
from sqlalchemy import update

from dev import __main__ as cli
from engine.database.database import EVERYBODY, Database
from engine.database.rows import FeedbackRow
from engine.operate.commands.migrate import upgrade
from engine.settings.settings import Settings
from engine.store import feedback
from engine.tests import application
from engine.tests.application import create_app
from engine.tests.fixtures import OneModel, demo_model, new_database, serving, visiting
from engine.tests.talk import Turn, Visitor
from engine.turn.versions import instructions_hash, tools_hash

MODELS = ("small", "large")
Rated = dict[str, Any]


@pytest.fixture(scope="module")
def talked(postgres_url: str, settings: Settings) -> Iterator[dict[str, str]]:
    """A database in which two users have rated answers, and who they are."""
    with new_database(postgres_url, "feedback") as url:
        upgrade(url)
        key = SecretStr("no key")  # without one, a run has no model but the demo
        changed = settings.model_copy(
            update={"database_url": url, "models": MODELS, "openai_api_key": key}
        )
        users = asyncio.run(_talk(changed))
        yield {"url": url, **users}


async def _talk(settings: Settings) -> dict[str, str]:
    app = create_app(settings, OneModel(settings, demo_model()))
    async with (
        serving(app) as url,
        visiting(url, settings) as one,
        visiting(url, settings) as other,
    ):
        first = await one.say("first question", model="small")
        second = await one.say("shout =1+1", first.thread_id, tool="echo", model="large")
        await one.say("not rated", first.thread_id)
        third = await other.say("third\x1b[2J question")
        await rate(one, first, first.thread_id, "positive")
        await rate(one, second, first.thread_id, "negative")
        await rate(other, third, third.thread_id, "positive")
        await rate(other, third, third.thread_id, "negative")  # changed their mind
        again = await other.stream(
            "threads.retry_after_item", thread_id=third.thread_id, item_id=third.user_message_id
        )
        await rate(other, again, third.thread_id, "positive")
        return {"one": one.user_id, "other": other.user_id}


async def rate(visitor: Visitor, turn: Turn, thread_id: str, kind: str) -> None:
    ids = [item["id"] for item in turn.done("assistant_message")]
    await visitor.send("items.feedback", thread_id=thread_id, item_ids=ids, kind=kind)


@pytest.fixture
def run(
    talked: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    monkeypatch.setenv("DATABASE_URL", talked["url"])

    def command(*arguments: str) -> str:
        assert cli.main(["feedback", *arguments]) == 0
        return capsys.readouterr().out

    return command


def rated(run: Callable[..., str], *arguments: str) -> list[Rated]:
    answers: list[Rated] = json.loads(run("--json", *arguments))
    return answers


def test_json_has_all_that_led_to_an_answer(
    run: Callable[..., str], talked: dict[str, str]
) -> None:
    newest, bad, good = rated(run)

    assert [newest["user_id"], bad["user_id"], good["user_id"]] == [
        *(talked["other"], talked["one"], talked["one"])
    ]
    assert good["question"] == "first question"
    assert good["kind"] == "positive"
    assert (good["model"], good["tools"]) == ("small", [])
    assert bad["question"] == "shout =1+1"
    assert bad["answer"]
    assert (bad["kind"], bad["model"], bad["tools"]) == ("negative", "large", ["shout"])
    # A retry: the answer that it replaced, and its rating, are gone.
    assert newest["question"] == "third\x1b[2J question"
    assert (newest["kind"], newest["model"]) == ("positive", "small")


def test_an_answer_has_the_version_of_the_agent(run: Callable[..., str]) -> None:
    answers = rated(run)
    [instructions] = {one["instructions_hash"] for one in answers}
    [tools] = {one["tools_hash"] for one in answers}

    assert instructions == instructions_hash(Agent("a", instructions=application.INSTRUCTIONS))
    [echo] = application.TOOLS
    assert tools == tools_hash(Agent("a", tools=list(echo.functions)))


@pytest.mark.parametrize("page", [1, 2])
def test_all_pages_are_read(
    run: Callable[..., str], monkeypatch: pytest.MonkeyPatch, page: int
) -> None:
    whole = rated(run)
    monkeypatch.setattr(feedback, "PAGE", page)

    assert rated(run) == whole


def test_only_the_bad_ones(run: Callable[..., str]) -> None:
    assert [one["question"] for one in rated(run, "--bad")] == ["shout =1+1"]
    assert "first question" not in run("--bad")


def test_only_those_since_a_day(run: Callable[..., str], talked: dict[str, str]) -> None:
    day = datetime.now(UTC).date()
    asyncio.run(_rated_before(talked["url"], "negative", timedelta(days=3)))
    since = (day - timedelta(days=1)).isoformat()

    assert [one["kind"] for one in rated(run, "--since", since)] == ["positive", "positive"]
    assert rated(run, "--bad", "--since", since) == []
    assert run("--bad", "--since", since) == "No answer was rated.\n"
    since = (day - timedelta(days=4)).isoformat()
    assert len(rated(run, "--since", since)) == 3


async def _rated_before(url: str, kind: str, age: timedelta) -> None:
    database = Database(url)
    changed = update(FeedbackRow).where(FeedbackRow.kind == kind)
    await database.write(EVERYBODY, changed.values(updated_at=datetime.now(UTC) - age))
    await database.dispose()


def test_text_is_for_a_terminal(run: Callable[..., str]) -> None:
    text = run()

    assert "  question: shout =1+1\n" in text
    assert "called: shout\n" in text
    assert "  question: third\N{REPLACEMENT CHARACTER}[2J question\n" in text
    assert text.endswith("3 answers\n")


def test_csv_is_for_a_spreadsheet(run: Callable[..., str]) -> None:
    rows = list(csv.DictReader(run("--csv").splitlines(keepends=True)))

    assert len(rows) == 3
    assert {"question", "answer", "tools", "model", "instructions_hash"} <= rows[0].keys()
    [bad] = [row for row in rows if row["kind"] == "negative"]
    assert bad["tools"] == "shout"
    assert bad["answer"].startswith("'=1+1!")


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["feedback", "--help"])

    assert "python3 -m app feedback --bad --since" in capsys.readouterr().out
