"""`python3 -m app usage`: what models were used for, in tokens and money."""

import argparse
from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from engine.operate.commands.database import with_database
from engine.operate.commands.table import add_formats, print_rows

if TYPE_CHECKING:
    from engine.database.database import Database
    from engine.runs.usage import UsageLine

PERIODS = ("day", "month")
PARTS = (*PERIODS, "user", "model")
CENTS = Decimal("0.0001")  # hundredths of them
COUNTS = ("turns", "tokens in", "cached", "tokens out", "US dollars", "without price")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Any:
    usage = commands.add_parser(
        "usage",
        help="turns, tokens and money, by day, month, user and model",
        epilog="example: python3 -m app usage --by month,model --since 2026-01-01 --csv",
    )
    add_options(usage)
    return usage


def add_options(usage: argparse.ArgumentParser) -> None:
    usage.add_argument("--day", type=date.fromisoformat, help="that day (UTC); default: today")
    usage.add_argument("--since", type=date.fromisoformat, metavar="DAY", help="from that day on")
    usage.add_argument("--until", type=date.fromisoformat, metavar="DAY", help="to that day")
    usage.add_argument(
        "--by",
        type=_parts,
        default=("user",),
        metavar="PARTS",
        help=f"what is told apart, comma-separated: {', '.join(PARTS)}; default: user",
    )
    add_formats(usage)


def _parts(text: str) -> tuple[str, ...]:
    parts = tuple(part.strip() for part in text.split(",") if part.strip())
    if unknown := [part for part in parts if part not in PARTS]:
        raise argparse.ArgumentTypeError(f"{unknown[0]} is none of {', '.join(PARTS)}")
    if {*PERIODS} <= {*parts}:
        raise argparse.ArgumentTypeError("either day or month")
    return parts


def run(options: argparse.Namespace) -> int:
    """Print what was used in these days (UTC), most money first."""
    return with_database(lambda database: _print(database, options))


def _days(options: argparse.Namespace, today: date) -> tuple[date, date]:
    if options.day:
        return options.day, options.day
    if options.since or options.until:
        return options.since or date.min + timedelta(days=1), options.until or today
    return today, today


async def _print(database: "Database", options: argparse.Namespace) -> int:
    from engine.runs.token_days import today
    from engine.runs.usage import report

    since, until = _days(options, await today(database))
    lines = await report(database, since, until, by=options.by)
    if not lines and options.format == "table":
        print(f"No turns on {since}." if since == until else f"No turns from {since} to {until}.")
        return 0
    parts = _columns(options.by)
    rows = [_row(line, parts) for line in lines]
    total = _total(lines, parts) if options.format == "table" else []
    heading = [*parts, *COUNTS]
    numbers = range(len(parts), len(heading))
    print_rows(heading, [*rows, *total], options.format, numbers=numbers)
    return 0


def _columns(by: Sequence[str]) -> list[str]:
    return [part for part in PARTS if part in by]


def _row(line: "UsageLine", parts: Sequence[str]) -> list[object]:
    values = {"day": line.period, "month": line.period, "user": line.user_id, "model": line.model}
    tokens = (line.turns, line.tokens_in, line.tokens_cached, line.tokens_out)
    return [*(values[part] for part in parts), *tokens, line.cost.quantize(CENTS), line.unpriced]


def _total(lines: Sequence["UsageLine"], parts: Sequence[str]) -> list[list[object]]:
    """A line of sums; none if nothing is told apart."""
    if not parts:
        return []
    columns: list[tuple[Any, ...]] = [*zip(*(_row(line, ()) for line in lines), strict=True)]
    return [["all", *[""] * (len(parts) - 1), *map(sum, columns)]]
