"""Records the statements of an application, and explains their query plans."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from engine.database.database import TABLE_PREFIX
from engine.database.tables import owned_tables

Plan = dict[str, Any]


@dataclass
class Recorder:
    """Statements with their parameters."""

    seen: dict[str, tuple[Any, ...]] = field(default_factory=dict)

    def record(
        self, _connection: object, _cursor: object, statement: str, parameters: Any, *_: object
    ) -> None:
        if isinstance(parameters, list):  # one statement with several sets of parameters
            parameters = parameters[0]
        if named_in(statement):
            self.seen.setdefault(statement, parameters)


@contextmanager
def recording() -> Iterator[Recorder]:
    """Records what applications of this process execute meanwhile."""
    recorder = Recorder()
    event.listen(Engine, "before_cursor_execute", recorder.record)
    try:
        yield recorder
    finally:
        event.remove(Engine, "before_cursor_execute", recorder.record)


def named_in(statement: str) -> set[str]:
    """The tables of this project that a statement names."""
    words = set(re.findall(rf"\b{TABLE_PREFIX}\w+", statement))
    return words & {table.name for table in owned_tables()}


@asynccontextmanager
async def connecting(url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()


async def explain(connection: AsyncConnection, statement: str, parameters: tuple[Any, ...]) -> Plan:
    """The plan for these parameters, which select the partitions."""
    result = await connection.exec_driver_sql(f"EXPLAIN (FORMAT JSON) {statement}", parameters)
    plan: Plan = result.scalar_one()[0]["Plan"]
    return plan


async def measure(
    connection: AsyncConnection, statement: str, parameters: tuple[Any, ...], *, generic: bool
) -> Plan:
    """The plan with measured rows and buffers (EXPLAIN ANALYZE); writes are rolled back.

    `generic` measures the plan for any parameters, which PostgreSQL may use for a prepared
    statement after a few executions.
    """
    mode = "force_generic_plan" if generic else "force_custom_plan"
    values = [None if value is None else _as_text(value) for value in parameters]
    quoted = await connection.exec_driver_sql(
        "SELECT quote_nullable(value) FROM unnest($1::text[]) WITH ORDINALITY t (value, place)"
        " ORDER BY place",
        (values,),
    )
    arguments = f"({', '.join(quoted.scalars())})" if values else ""
    await connection.exec_driver_sql(f"SET LOCAL plan_cache_mode = {mode}")
    await connection.exec_driver_sql(f"PREPARE measured AS {statement}")
    result = await connection.exec_driver_sql(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE measured{arguments}"
    )
    plan: Plan = result.scalar_one()[0]["Plan"]
    await connection.exec_driver_sql("DEALLOCATE measured")
    await connection.rollback()
    return plan


def _as_text(value: Any) -> str:
    return (
        "{" + ",".join(f'"{item}"' for item in value) + "}"
        if isinstance(value, list)
        else str(value)
    )


def nodes(plan: Plan) -> Iterator[Plan]:
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)
