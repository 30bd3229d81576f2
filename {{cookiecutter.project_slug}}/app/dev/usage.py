"""`python -m app usage`: what everybody used in a day."""

import asyncio
from datetime import UTC, date, datetime, time

from app.chat.run_store import DayOfUse, RunStore
from app.config import Settings
from app.db import Database
from app.dev.database import running_database

COLUMNS = ("user", "turns", "tokens in", "tokens out")


def usage(day: date | None) -> int:
    """Print the turns and tokens of a day (UTC; today if none is given), most tokens first."""
    day = day or datetime.now(UTC).date()
    settings = Settings()
    with running_database(settings) as url:
        used = asyncio.run(_read(settings, url, datetime.combine(day, time(), UTC)))
    if not used:
        print(f"Nobody used anything on {day}.")
        return 0
    total = DayOfUse(
        f"all on {day}",
        sum(one.turns for one in used),
        sum(one.tokens_in for one in used),
        sum(one.tokens_out for one in used),
    )
    _print_table([COLUMNS, *map(_row, [*used, total])])
    return 0


async def _read(settings: Settings, url: str, day: datetime) -> list[DayOfUse]:
    database = Database.from_settings(settings, url)
    try:
        return await RunStore(settings, database, worker="usage").use(day)
    finally:
        await database.dispose()


def _row(use: DayOfUse) -> tuple[str, str, str, str]:
    return use.user_id, f"{use.turns:,}", f"{use.tokens_in:,}", f"{use.tokens_out:,}"


def _print_table(rows: list[tuple[str, str, str, str]]) -> None:
    """The first column to the left, the numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    for first, *numbers in rows:
        cells = [number.rjust(width) for number, width in zip(numbers, widths[1:], strict=True)]
        print("  ".join([first.ljust(widths[0]), *cells]))
