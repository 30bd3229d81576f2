"""The functions that a parsed statement calls, by the names that they have in its text."""

import re

from sqlglot import exp

DIALECT = "postgres"


def name_of(function: exp.Func) -> str | None:
    """The name that it gets in the statement; AND, CASE, -> and the like are no call there."""
    if isinstance(function, exp.Anonymous):
        return function.name.lower()
    call = re.match(r"(\w+)\s*\(", function.sql(dialect=DIALECT, comments=False))
    return call[1].lower() if call else None


def arguments_of(function: exp.Func) -> list[exp.Expr]:
    return list(
        function.expressions if isinstance(function, exp.Anonymous) else function.iter_expressions()
    )
