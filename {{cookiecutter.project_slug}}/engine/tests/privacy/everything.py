"""A row of a user in every table, and a search of every table for a word."""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Date,
    Numeric,
    Table,
    func,
    insert,
    literal_column,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TSVECTOR
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.database.database import EVERYBODY, Database
from engine.database.tables import import_rows, owned_tables, owner_column

CREATED = datetime(2026, 1, 2, 3, tzinfo=UTC)
TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema() ORDER BY 1")


def every_owned_table() -> list[Table]:
    """The engine's and the application's."""
    import_rows("app")
    return owned_tables()


async def fill(database: Database, user_id: str, word: str) -> None:
    """Add one row of the user to each table whose rows have an owner; its texts are that word."""
    inserted: dict[str, dict[str, Any]] = {}
    async with database.transaction(EVERYBODY) as connection:
        for table in every_owned_table():
            values = {c.name: _value(c, word, inserted) for c in table.columns if not c.identity}
            values[owner_column(table).name] = user_id
            key: Any = insert(table).values(**values).returning(*table.primary_key.columns)
            row = (await connection.execute(key)).one()
            inserted[table.name] = values | dict(row._mapping)


def _value(column: Column[Any], word: str, inserted: dict[str, dict[str, Any]]) -> Any:
    for key in column.foreign_keys:
        if key.column.table.name in inserted:
            return inserted[key.column.table.name][key.column.name]
    if column.name == "model":
        return "a model"  # whose name is a setting's
    match column.type:
        case JSONB():
            return {"word": word, "metadata": {"bytes": 1}}
        case TSVECTOR():
            return func.to_tsvector("simple", word)
        case Date():
            return date(2026, 1, 2)
        case Numeric():
            return 1
    kind = column.type.python_type
    return {str: word, int: 1, datetime: CREATED}.get(kind, word)


async def tables_with(connection: AsyncConnection, word: str) -> list[str]:
    """The tables of the database, those of no model too, in which a row has the word."""
    names = (await connection.execute(TABLES)).scalars().all()
    found = []
    for name in names:
        row: ColumnElement[str] = literal_column(f'"{name}"::text')
        holds = select(func.count()).select_from(text(f'"{name}"')).where(row.contains(word))
        if await connection.scalar(holds):
            found.append(name)
    return found


async def rows_of(database: Database, user_id: str) -> dict[str, int]:
    """How many rows the user has in each table that has any."""
    counts = {}
    for table in every_owned_table():
        statement = select(func.count()).where(owner_column(table) == user_id)
        [row] = await database.read(EVERYBODY, statement)
        counts[table.name] = row[0]
    return {name: count for name, count in counts.items() if count}
