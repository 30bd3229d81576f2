"""`python -m app usage`: the turns and tokens of each user in a day."""

import argparse
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from engine.operate.commands.database import with_database
from engine.operate.commands.table import print_table

if TYPE_CHECKING:
    from engine.database.database import Database
    from engine.runs.run_store import DayOfUse

HEADING = ("user", "turns", "tokens in", "tokens out")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Any:
    usage = commands.add_parser("usage", help="turns and tokens of a day, user by user")
    add_options(usage)
    return usage


def add_options(usage: argparse.ArgumentParser) -> None:
    usage.add_argument("--day", type=date.fromisoformat, help="as 2026-01-31 (UTC); default: today")


def run(options: argparse.Namespace) -> int:
    """Print the turns and tokens of a day (UTC), most tokens first."""
    day: date = options.day or datetime.now(UTC).date()
    return with_database(lambda database: _print(database, day))


async def _print(database: "Database", day: date) -> int:
    from engine.runs.run_store import DayOfUse, RunStore
    from engine.settings.settings import Settings

    store = RunStore(Settings(), database, worker="usage")
    used = await store.use(datetime.combine(day, time(), UTC))
    if not used:
        print(f"No turns on {day}.")
        return 0
    total = DayOfUse(
        f"all on {day}",
        sum(one.turns for one in used),
        sum(one.tokens_in for one in used),
        sum(one.tokens_out for one in used),
    )
    print_table([HEADING, *map(_row, [*used, total])], numbers=(1, 2, 3))
    return 0


def _row(use: "DayOfUse") -> tuple[str, str, str, str]:
    return use.user_id, f"{use.turns:,}", f"{use.tokens_in:,}", f"{use.tokens_out:,}"
