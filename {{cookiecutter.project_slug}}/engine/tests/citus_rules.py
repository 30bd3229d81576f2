"""Rules of Citus for statements that write to a distributed table.

They were found with Citus 13.2 (a coordinator with two workers). The tests need no Citus: every
statement that the test suite sends is checked against these rules, once for each SQL text.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import (
    BinaryExpression,
    Case,
    Column,
    DateTime,
    Delete,
    Insert,
    Select,
    Table,
    Update,
)
from sqlalchemy.sql import visitors
from sqlalchemy.sql.elements import ClauseElement
from sqlalchemy.sql.functions import FunctionElement

# From `pg_proc.provolatile`. A function in neither set counts as volatile; look it up and add it.
IMMUTABLE = {"abs", "coalesce", "count", "encode", "greatest", "jsonb_set", "least", "lower"}
IMMUTABLE |= {"jsonb_path_query_array", "make_interval", "max", "min", "octet_length"}
IMMUTABLE |= {"setweight", "sha256", "sum"}
STABLE = {"convert_to", "date_trunc", "now", "timezone", "to_jsonb", "to_tsvector"}

_checked: set[str] = set()


def check_statement(
    _connection: object, _cursor: object, sql: str, _parameters: object, context: Any, _many: object
) -> None:
    """An SQLAlchemy listener for `before_cursor_execute`. Raises AssertionError."""
    if sql in _checked or context is None or context.compiled is None:
        return
    found = list(violations(context.compiled.statement))
    assert not found, f"Citus refuses this: {'; '.join(found)}\n{sql}"
    _checked.add(sql)


def violations(statement: ClauseElement) -> Iterator[str]:
    for part in visitors.iterate(statement):
        if isinstance(part, Insert | Update | Delete):
            yield from _in_a_write(part)
    parts = [part for part in visitors.iterate(statement) if isinstance(part, ClauseElement)]
    names = {part.name for part in parts if isinstance(part, FunctionElement)}
    if "pg_notify" in names and any(isinstance(part, Table) for part in parts):
        yield "pg_notify beside a table is called on that table's node, where nobody listens"


def _in_a_write(write: Insert | Update | Delete) -> Iterator[str]:
    if isinstance(write.table, Table) and not write.table.info.get("has_owner", True):
        return  # a table without owner is not distributed: see docs/scale.md
    for element in write._returning:
        yield from _unless_immutable("RETURNING", element)
    conflict = getattr(write, "_post_values_clause", None)
    for value in getattr(conflict, "update_values_to_set", {}).values():
        yield from _unless_immutable("DO UPDATE SET", value)
    yield from _unless_immutable(
        "ON CONFLICT … WHERE", getattr(conflict, "update_whereclause", None)
    )
    if isinstance(write, Update):
        for value in (write._values or {}).values():
            yield from _in_an_assignment(value)
    if isinstance(write, Update | Delete):
        for condition in write._where_criteria:
            yield from (f"{name} in WHERE is volatile" for name in _functions(condition) - STABLE)


def _in_an_assignment(value: object) -> Iterator[str]:
    if not isinstance(value, ClauseElement):
        return
    yield from (f"{name} in SET is volatile" for name in _functions(value) - STABLE)
    parts = list(visitors.iterate(value))
    reads_a_row = any(isinstance(part, Column) for part in parts)
    if reads_a_row and not any(isinstance(part, Select) for part in parts):
        yield from _unless_immutable("SET with a column", value)
    for part in parts:
        if isinstance(part, Case) or getattr(part, "name", "") == "coalesce":
            yield from _unless_immutable("CASE or COALESCE", part)


def _unless_immutable(place: str, value: object) -> Iterator[str]:
    if isinstance(value, ClauseElement):
        yield from (f"{name} in {place} is not immutable" for name in _functions(value))
        if any(map(_adds_to_a_moment, visitors.iterate(value))):
            yield f"a sum with a moment in {place} is not immutable"


def _functions(value: ClauseElement) -> set[str]:
    """The names of the called functions that are not immutable."""
    parts = visitors.iterate(value)
    return {part.name for part in parts if isinstance(part, FunctionElement)} - IMMUTABLE


def _adds_to_a_moment(part: object) -> bool:
    return (
        isinstance(part, BinaryExpression)
        and isinstance(part.type, DateTime)
        and getattr(part.operator, "__name__", "") in {"add", "sub"}
    )
