"""`python -m app usage`."""

import asyncio

import pytest

from dev import __main__ as cli
from engine.operate.commands.migrate import upgrade
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.fixtures import new_database, serving, visiting


def test_a_day_is_told_user_by_user_with_its_total(
    postgres_url: str,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def two_users(changed: Settings) -> list[str]:
        async with (
            serving(create_app(changed)) as url,
            visiting(url, changed) as one,
            visiting(url, changed) as other,
        ):
            turn = await one.say("hello")
            await one.say("and again, " * 50, turn.thread_id)
            await other.say("hello")
            # What was deleted was used all the same.
            await one.send("threads.delete", thread_id=turn.thread_id)
        return [one.user_id, other.user_id]

    with new_database(postgres_url, "usage") as url:
        upgrade(url)
        monkeypatch.setenv("DATABASE_URL", url)
        assert cli.main(["usage"]) == 0
        assert capsys.readouterr().out.startswith("No turns on ")

        users = asyncio.run(two_users(settings.model_copy(update={"database_url": url})))
        assert cli.main(["usage"]) == 0
        table = [line.split() for line in capsys.readouterr().out.splitlines()]
        assert cli.main(["usage", "--day", "2001-02-03"]) == 0
        assert capsys.readouterr().out == "No turns on 2001-02-03.\n"

    heading, *rows, total = table
    assert heading == ["user", "turns", "tokens", "in", "tokens", "out"]
    assert [row[:2] for row in rows] == [[users[0], "2"], [users[1], "1"]]
    numbers = [[int(cell.replace(",", "")) for cell in row[-3:]] for row in [*rows, total]]
    assert numbers[-1] == [sum(column) for column in zip(*numbers[:-1], strict=True)]
    assert all(number > 0 for row in numbers for number in row)
