"""`python3 -m app feedback`: rated answers with their questions, for whoever improves the agent."""

import argparse
import csv
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import asdict, fields
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from engine.operate.commands.database import with_database
from engine.operate.commands.table import add_formats, csv_cell

if TYPE_CHECKING:
    from engine.database.database import Database
    from engine.store.feedback import RatedAnswer

EXAMPLE = "example: python3 -m app feedback --bad --since 2026-01-31 --csv > feedback.csv"


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Any:
    feedback = commands.add_parser(
        "feedback",
        help="rated answers: question, answer, tools, model, version of the instructions",
        epilog=EXAMPLE,
    )
    feedback.add_argument("--bad", action="store_true", help="only answers that were rated bad")
    feedback.add_argument(
        "--since", type=date.fromisoformat, metavar="DAY", help="as 2026-01-31 (UTC)"
    )
    add_formats(feedback)
    return feedback


def run(options: argparse.Namespace) -> int:
    """Print the rated answers of all users, rated last first."""
    return with_database(lambda database: _print(database, options))


async def _print(database: "Database", options: argparse.Namespace) -> int:
    from engine.store.feedback import BAD, rated_answers

    since = datetime.combine(options.since, time(), UTC) if options.since else None
    answers = rated_answers(database, kind=BAD if options.bad else None, since=since)
    await _PRINTERS[options.format](answers)
    return 0


async def _print_text(answers: "AsyncIterator[RatedAnswer]") -> None:
    count = 0
    async for answer in answers:
        count += 1
        print(*_lines(answer), "", sep="\n")
    print(f"{count} answers" if count else "No answer was rated.")


def _lines(answer: "RatedAnswer") -> Iterator[str]:
    yield f"{answer.rated_at:%Y-%m-%d %H:%M}  {answer.kind}  {answer.user_id}  {answer.item_id}"
    yield (
        f"  model {answer.model or '-'}, instructions {answer.instructions_hash or '-'}, "
        f"tools {answer.tools_hash or '-'}, called: {', '.join(answer.tools) or 'none'}"
    )
    for label, text in (("question", answer.question), ("answer", answer.answer)):
        first, *more = _printable(text).split("\n")
        yield f"  {label + ':':<10}{first}"
        yield from (f"{'':12}{line}" for line in more)


def _printable(text: str) -> str:
    """The text without control characters, which a terminal would obey."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


async def _print_json(answers: "AsyncIterator[RatedAnswer]") -> None:
    separator = "["
    async for answer in answers:
        print(separator, json.dumps(_values(answer), ensure_ascii=False), sep="\n")
        separator = ","
    print("]" if separator == "," else "[]")


async def _print_csv(answers: "AsyncIterator[RatedAnswer]") -> None:
    from engine.store.feedback import RatedAnswer

    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow([field.name for field in fields(RatedAnswer)])
    async for answer in answers:
        values = _values(answer) | {"tools": " ".join(answer.tools)}
        table.writerow(map(csv_cell, values.values()))


_PRINTERS: "dict[str, Callable[[AsyncIterator[RatedAnswer]], Awaitable[None]]]" = {
    "table": _print_text,
    "json": _print_json,
    "csv": _print_csv,
}


def _values(answer: "RatedAnswer") -> dict[str, Any]:
    return asdict(answer) | {"rated_at": answer.rated_at.astimezone(UTC).isoformat()}
