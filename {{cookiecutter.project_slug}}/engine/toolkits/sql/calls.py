"""The names and arguments of the functions that a parsed statement calls."""

import re

from sqlglot import exp

DIALECT = "postgres"


def name_of(function: exp.Func) -> str | None:
    """The function's name in the SQL text; None for AND, CASE, -> and other operators."""
    if isinstance(function, exp.Anonymous):
        return function.name.lower()
    call = re.match(r"(\w+)\s*\(", function.sql(dialect=DIALECT, comments=False))
    return call[1].lower() if call else None


def arguments_of(function: exp.Func) -> list[exp.Expr]:
    return list(
        function.expressions if isinstance(function, exp.Anonymous) else function.iter_expressions()
    )
