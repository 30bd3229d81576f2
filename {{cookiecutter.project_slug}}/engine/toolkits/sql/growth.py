"""Limits how large a query can make a value. PostgreSQL's own limit is 1 GB for each value.

A stored value counts as size 1; the growth of a query is the largest factor by which it can enlarge
a value. Recursive queries write to temporary files, which the role limits.
"""

import re
from collections.abc import Callable
from math import ceil, prod

from sqlglot import exp

from engine.toolkits.sql.calls import arguments_of, name_of

MAX_GROWTH = 100_000
MAX_COPIES = 1_000
MAX_SERIES = 1_000_000
MAX_REPLACEMENT_CHARS = 100
MAX_AGGREGATES_IN_MEMORY = 4
JSON_ESCAPE = 6  # \u0001

# Aggregates that keep all of their rows in memory.
AGGREGATES_IN_MEMORY = {
    *("array_agg", "json_agg", "json_object_agg", "jsonb_agg", "jsonb_object_agg", "string_agg"),
    *("mode", "percentile_cont", "percentile_disc", "range_agg"),
}


class TooLarge(Exception):
    """A query could make a value too large; the message says which, for the model."""


def check_growth(statement: exp.Expr) -> None:
    """Raises `TooLarge` if the query could make a value too large."""
    calls = list(statement.find_all(exp.Func))
    if sum(name_of(call) in AGGREGATES_IN_MEMORY for call in calls) > MAX_AGGREGATES_IN_MEMORY:
        raise TooLarge(f"a query has at most {MAX_AGGREGATES_IN_MEMORY} of {', '.join(sorted(AGGREGATES_IN_MEMORY))}")
    for call in calls:
        if name_of(call) == "generate_series":
            _check_series([_number(argument) for argument in arguments_of(call)])
    if _growth(statement) > MAX_GROWTH:
        raise TooLarge("it would make texts too large; repeat, join and replace less")


def _check_series(numbers: list[float | None]) -> None:
    """Check a series with literal bounds. Others are usually dates, and the timeout limits them."""
    match numbers:
        case [float(first), float(last), *step] if None not in step:
            size = abs(last - first) / (abs(step[0] or 1) if step else 1)
            if size > MAX_SERIES:
                raise TooLarge(f"a series has at most {MAX_SERIES:,} values")


def _growth(node: exp.Expr) -> int:
    """The largest factor by which this expression can enlarge its input."""
    if isinstance(node, exp.Query) and not isinstance(node, exp.Subquery):
        return _of_query(node)
    if isinstance(node, exp.Func) and (own := _OWN.get(name_of(node) or "")):
        return own(arguments_of(node))
    if isinstance(node, exp.DPipe | exp.Array | exp.Tuple):
        return _sum(_children(node))
    return _largest(_children(node))


def _of_query(query: exp.Query) -> int:
    """A query can enlarge its input, and so can each of its subqueries."""
    with_ = query.args.get("with_")
    read = prod(_growth(cte.this) for cte in with_.expressions) if with_ else 1
    children = [child for child in _children(query) if child is not with_]
    sources = [c for c in children if isinstance(c, exp.From | exp.Join | exp.Lateral)]
    computed = [child for child in children if child not in sources]
    return read * prod(map(_growth, sources)) * _largest(computed)


def _largest(nodes: list[exp.Expr]) -> int:
    return max(map(_growth, nodes), default=1)


def _sum(nodes: list[exp.Expr]) -> int:
    return max(1, sum(map(_growth, nodes)))


def _repeat(arguments: list[exp.Expr]) -> int:
    return _largest(arguments) * _copies(arguments)


def _pad(arguments: list[exp.Expr]) -> int:
    return max(_copies(arguments), _largest(arguments))


def _replace(arguments: list[exp.Expr]) -> int:
    found = _text(arguments[1]) if len(arguments) > 1 else None
    return _largest(arguments) * max(1, ceil(_added(arguments[2:3]) / max(1, len(found or ""))))


def _regexp_replace(arguments: list[exp.Expr]) -> int:
    """It may match between any two characters, and insert the match several times."""
    return _largest(arguments) * (1 + _added(arguments[2:3]))


def _array_to_string(arguments: list[exp.Expr]) -> int:
    return _largest(arguments) * (1 + _added(arguments[1:3]))


def _ts_headline(arguments: list[exp.Expr]) -> int:
    return _largest(arguments) * (1 + _added(arguments[2:]))


def _format(arguments: list[exp.Expr]) -> int:
    pattern = _text(arguments[0])
    if pattern is None or "*" in pattern:
        raise TooLarge("format needs a literal text as its pattern, without a computed width (*)")
    width = sum(map(int, re.findall(r"\d+", pattern)))
    if width > MAX_COPIES:
        raise TooLarge(f"format fills up to {MAX_COPIES} characters at most")
    return _sum(arguments) * (1 + pattern.count("%")) + width


def _json(arguments: list[exp.Expr]) -> int:
    return JSON_ESCAPE * _sum(arguments)


def _encode(arguments: list[exp.Expr]) -> int:
    return 4 * _largest(arguments)


_JSON = {
    *("array_to_json", "json_agg", "json_build_array", "json_build_object", "json_object"),
    *("json_object_agg", "jsonb_agg", "jsonb_build_array", "jsonb_build_object", "jsonb_object"),
    *("jsonb_object_agg", "jsonb_pretty", "row_to_json", "to_json", "to_jsonb"),
}
_SUMS = {"array_append", "array_cat", "array_prepend", "concat", "concat_ws", "overlay", "row"}
_OWN: dict[str, Callable[[list[exp.Expr]], int]] = {
    "array_to_string": _array_to_string,
    "encode": _encode,
    "format": _format,
    "lpad": _pad,
    "regexp_replace": _regexp_replace,
    "repeat": _repeat,
    "replace": _replace,
    "rpad": _pad,
    "string_agg": _array_to_string,
    "ts_headline": _ts_headline,
    **dict.fromkeys(_JSON, _json),
    **dict.fromkeys(_SUMS, _sum),
}


def _copies(arguments: list[exp.Expr]) -> int:
    """The number that is the second argument of repeat, lpad and rpad."""
    if len(arguments) < 2:
        return 1  # (PostgreSQL refuses it.)
    count = _number(arguments[1])
    if count is None or count > MAX_COPIES:
        raise TooLarge(
            f"repeat, lpad and rpad take a number that is written out, {MAX_COPIES} at most"
        )
    return max(1, int(count))


def _added(texts: list[exp.Expr]) -> int:
    """The length of what is put in between or in place of something."""
    written = [_text(text) for text in texts]
    if any(text is None or len(text) > MAX_REPLACEMENT_CHARS for text in written):
        raise TooLarge(
            "what a text is replaced or joined with has to be written out, in at most"
            f" {MAX_REPLACEMENT_CHARS} characters"
        )
    return sum(len(text or "") for text in written)


def _number(node: exp.Expr) -> float | None:
    """The number that is written there, if it is one."""
    if isinstance(node, exp.Neg):
        number = _number(node.this)
        return None if number is None else -number
    if isinstance(node, exp.Literal) and not node.is_string:
        return float(node.this)
    return None


def _text(node: exp.Expr) -> str | None:
    """The text that is written there, if it is one."""
    is_text = isinstance(node, exp.Literal | exp.RawString | exp.ByteString | exp.National)
    return str(node.this) if is_text else None


def _children(node: exp.Expr) -> list[exp.Expr]:
    return list(node.iter_expressions())
