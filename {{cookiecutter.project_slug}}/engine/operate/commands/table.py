"""Prints tables on the terminal."""

from collections.abc import Collection, Sequence


def print_table(rows: Sequence[Sequence[str]], *, numbers: Collection[int] = ()) -> None:
    """Print rows of equal length; the columns whose index is in `numbers` are right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
