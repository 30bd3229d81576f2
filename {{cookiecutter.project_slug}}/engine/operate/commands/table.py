"""Prints lists: as tables on the terminal, as JSON, as CSV."""

import argparse
import csv
import json
import sys
from collections.abc import Collection, Sequence
from decimal import Decimal

# A spreadsheet would calculate a text that begins with one of these.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def add_formats(command: argparse.ArgumentParser) -> None:
    """`--json` and `--csv`; the option is `format`, which is `table` without them."""
    formats = command.add_mutually_exclusive_group()
    for name in ("json", "csv"):
        formats.add_argument(
            f"--{name}",
            dest="format",
            action="store_const",
            const=name,
            help=f"print {name.upper()}",
        )
    command.set_defaults(format="table")


def print_rows(
    heading: Sequence[str],
    rows: Sequence[Sequence[object]],
    format: str,
    *,
    numbers: Collection[int] = (),
) -> None:
    """Print a list in that format. In a table, columns whose index is in `numbers` are right-aligned."""
    if format == "json":
        keys = [name.replace(" ", "_") for name in heading]
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], default=_plain))
    elif format == "csv":
        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerows([heading, *(map(csv_cell, row) for row in rows)])
    else:
        cells = [[_cell(value) for value in row] for row in rows]
        print_table([heading, *cells], numbers=numbers)


def print_table(rows: Sequence[Sequence[str]], *, numbers: Collection[int] = ()) -> None:
    """Print rows of equal length; the columns whose index is in `numbers` are right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())


def csv_cell(value: object) -> object:
    """The value for CSV. A text that a spreadsheet would take for a formula begins with a quote."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | Decimal) else str(value)


def _plain(value: object) -> object:
    """Money is a number in JSON: it is rounded already."""
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
