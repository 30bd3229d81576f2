"""Queries the analytics database with read-only SQL."""

import re
from collections.abc import Sequence

from agents import RunContextWrapper
from chatkit.widgets import DynamicWidgetRoot

from engine import AgentTool, DemoCall, TurnContext, agent_function
from engine.toolkits.sql.database import Analytics, Result, TableInfo

MAX_SCHEMA_CHARS = 12_000
MAX_RESULT_CHARS = 16_000
SHOWN_ROWS = 25
SHOWN_COLUMNS = 8

Turn = RunContextWrapper[TurnContext]


@agent_function
async def list_tables(turn: Turn, containing: str) -> str:
    """List the tables of the analytics database (PostgreSQL) with their columns and types.

    Call it before writing a query.

    Args:
        containing: Part of the table names to search for, or an empty string for all tables.
    """
    tables = await _analytics(turn).tables(containing.strip())
    if not tables:
        return "No table was found."
    described = "\n".join(map(_described, tables))
    if len(described) <= MAX_SCHEMA_CHARS:
        return described
    names = ", ".join(table.name for table in tables)
    return f"These are too many to describe at once; ask for some of them by name: {names}"


@agent_function
async def query_database(turn: Turn, sql: str, title: str) -> str:
    """Run one SELECT on the analytics database (PostgreSQL). The user is shown its rows as a table.

    Let the database count, add up and sort; ask for the few rows and columns that answer the
    question. Only SELECT and common functions are possible. Name functions without a schema.

    Args:
        sql: One SELECT statement; WITH is possible.
        title: A title for the table of results, in the user's language.
    """
    result = await _analytics(turn).query(sql)
    turn.context.show(_widget(title, result), f"{title}: {_heading(result)}, {_total(result)} rows")
    return _text(result)


def _analytics(turn: Turn) -> Analytics:
    return turn.context.services.get(Analytics)


def _described(table: TableInfo) -> str:
    comment = f" -- {' '.join(table.comment.split())}" if table.comment else ""
    return f"{table.name}: {table.columns}{comment}"


def _text(result: Result) -> str:
    """CSV of as many rows as fit, followed by the number of rows."""
    lines = [_heading(result)]
    used = 0
    for row in result.rows:
        line = _line(row)
        used += len(line) + 1
        if used > MAX_RESULT_CHARS:
            break
        lines.append(line)
    listed = len(lines) - 1
    of = f"{listed} of " if listed < len(result.rows) else ""
    return "\n".join([*lines, f"[{of}{_total(result)} rows]"])


def _heading(result: Result) -> str:
    return _line([column.name for column in result.columns])


def _line(cells: Sequence[str | None]) -> str:
    """One line of CSV in PostgreSQL's format: NULL is empty, an empty text is two quotes."""
    return ",".join("" if cell is None else _quoted(cell) for cell in cells)


def _quoted(cell: str) -> str:
    if cell and not re.search(r'[,"\r\n]', cell):
        return cell
    return '"' + cell.replace('"', '""') + '"'


def _total(result: Result) -> str:
    return f"{len(result.rows)}{' or more' if result.is_cut else ''}"


def _widget(title: str, result: Result) -> DynamicWidgetRoot:
    """A table of plain text, so that no value from the database becomes a link or an image."""
    columns = result.columns[:SHOWN_COLUMNS]
    aligns = ["end" if column.is_number else "start" for column in columns]
    heading = [
        _widget_cell(column.name, align) for column, align in zip(columns, aligns, strict=True)
    ]
    rows = [
        {
            "type": "Table.Row",
            "children": [
                _widget_cell("" if cell is None else cell, align)
                for cell, align in zip(row, aligns, strict=False)
            ],
        }
        for row in result.rows[:SHOWN_ROWS]
    ]
    table = {
        "type": "Table",
        "children": [{"type": "Table.Row", "header": True, "children": heading}, *rows],
    }
    caption = _caption(result)
    children = [{"type": "Title", "value": title, "size": "sm"}, table]
    return DynamicWidgetRoot.model_validate(
        {
            "type": "Card",
            "size": "full",
            "children": [*children, {"type": "Caption", "value": caption}] if caption else children,
        }
    )


def _widget_cell(value: str, align: str) -> dict[str, object]:
    return {
        "type": "Table.Cell",
        "align": align,
        "children": [{"type": "Text", "value": value, "size": "sm", "maxLines": 3}],
    }


def _caption(result: Result) -> str:
    """The table's caption, which says what is left out; empty if nothing is."""
    parts = []
    if result.is_cut or len(result.rows) > SHOWN_ROWS:
        parts.append(f"{min(len(result.rows), SHOWN_ROWS)} of {_total(result)} rows")
    if len(result.columns) > SHOWN_COLUMNS:
        parts.append(f"{SHOWN_COLUMNS} of {len(result.columns)} columns")
    return ", ".join(parts)


def _demo(text: str) -> DemoCall | None:
    if re.match(r"\s*(select|with)\b", text, re.I):
        return DemoCall("query_database", {"sql": text, "title": "Result"})
    if re.search(r"\b(?:which|what|list|show)\b.*\btables\b", text, re.I):
        return DemoCall("list_tables", {"containing": ""})
    return None


SQL = AgentTool(
    id="sql",
    label="Data",
    icon="analytics",
    functions=(list_tables, query_database),
    placeholder="Ask the analytics database",
    prompt="Which tables are there?",
    titles={"list_tables": "Looking at the tables", "query_database": "Querying the database"},
    demo=_demo,
    demo_default=DemoCall("list_tables", {"containing": ""}),
    service=Analytics,
)
