"""Every statement needs the rows of one owner only, so that tables can be sharded by owner.

The application runs on tables that are partitioned by the hash of the owner, and PostgreSQL's
plans show which partitions each statement reads.
"""

import asyncio
import re
import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from alembic import command
from sqlalchemy import Connection, ForeignKeyConstraint, MetaData, Table, UniqueConstraint
from sqlalchemy.ext.asyncio import create_async_engine

from engine.database.database import PROJECT_OWNER, Base
from engine.database.migrations import alembic_config
from engine.database.rows import FeedbackRow, ItemRow, RunRow, ThreadRow, UserRow
from engine.database.tables import metadata, owned_tables, owner_column
from engine.demo.model import SLOWNESS
from engine.settings.settings import Settings
from engine.tests import application
from engine.tests.application import create_app
from engine.tests.fixtures import new_database, serving, visiting
from engine.tests.plans import Recorder, connecting, explain, named_in, recording
from engine.tests.talk import Visitor, is_text, message, streamed, until

PARTITIONS = 4

# The pause between words: the answer takes some seconds, so that it is checkpointed, stopped and
# left before its end.
SLOW_SECONDS = 0.015

# Statements that need the rows of all owners, with the reason.
OF_EVERYBODY = {
    "heartbeat_at <": "a worker that died cannot say whose answers it was writing",
    "pg_get_serial_sequence": "items of all owners are numbered by one sequence",
    "is_called": "items of all owners are numbered by one sequence",
}


@pytest.mark.parametrize("table", owned_tables(), ids=lambda table: table.name)
def test_every_key_begins_with_the_owner(table: Table) -> None:
    owner = owner_column(table).name
    keys = [list(table.primary_key.columns)]
    keys += [list(index.columns) for index in table.indexes if index.unique]
    keys += [list(c.columns) for c in table.constraints if isinstance(c, UniqueConstraint)]
    for key in keys:
        assert key[0].name == owner


@pytest.mark.parametrize("table", owned_tables(), ids=lambda table: table.name)
def test_every_foreign_key_includes_the_owner(table: Table) -> None:
    """PostgreSQL reads these keys to check references and to delete rows that refer to others."""
    for reference in table.constraints:
        if isinstance(reference, ForeignKeyConstraint):
            first = reference.elements[0]
            assert first.parent is owner_column(table)
            assert first.column is owner_column(first.column.table)


@pytest.fixture(scope="module")
def partitioned_url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, f"partitions_{secrets.token_hex(4)}") as url:
        asyncio.run(make_partitions(url))
        yield url


async def make_partitions(url: str) -> None:
    """Replace each table by one with the same constraints and four partitions."""
    twins = MetaData(naming_convention=Base.metadata.naming_convention)
    for table in metadata().sorted_tables:
        twin = table.to_metadata(twins)
        if table in owned_tables():
            by = f"HASH ({owner_column(table).name})"
            twin.dialect_options["postgresql"]["partition_by"] = by
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(twins.create_all)
        for table in owned_tables():
            for part in range(PARTITIONS):
                await connection.exec_driver_sql(
                    f"CREATE TABLE {table.name}_part{part} PARTITION OF {table.name}"
                    f" FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {part})"
                )
        await connection.run_sync(stamp)
    await engine.dispose()


def stamp(connection: Connection) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    command.stamp(config, "heads")


async def test_every_statement_reads_one_partition(
    partitioned_url: str, settings: Settings
) -> None:
    settings = settings.model_copy(
        update={"database_url": partitioned_url, "demo_delay_seconds": SLOW_SECONDS / SLOWNESS}
    )
    with recording() as recorder:
        async with serving(create_app(settings)) as url, visiting(url, settings) as visitor:
            await use_everything(visitor)

    reached = await tables_reached(partitioned_url, recorder, visitor)
    rows = (UserRow, ThreadRow, ItemRow, FeedbackRow, RunRow)
    assert reached >= {row.__tablename__ for row in rows}


async def tables_reached(url: str, recorder: Recorder, visitor: Visitor) -> set[str]:
    """The tables that the recorded statements name; fails where one reaches several partitions."""
    reached: set[str] = set()
    async with connecting(url) as connection:
        for statement, parameters in recorder.seen.items():
            if any(sign in statement for sign in OF_EVERYBODY):
                continue
            assert visitor.user_id in parameters or PROJECT_OWNER in parameters, statement
            plan = await explain(connection, statement, parameters)
            read, inserted = tables_in(plan)
            assert {name for name, _ in read} | inserted == named_in(statement), statement
            # The same partition of all tables, so that they can be moved together.
            assert len({part for _, part in read}) <= 1, f"{statement}\n{read}"
            reached |= named_in(statement)
    return reached


async def use_everything(visitor: Visitor) -> None:
    first = await visitor.say("hello")
    thread_id = first.thread_id
    await visitor.say("many words " * 60, thread_id)
    for tool in application.TOOLS:
        await visitor.say("go on", thread_id, tool=tool.id)
    await visitor.stream(
        "threads.retry_after_item", thread_id=thread_id, item_id=first.user_message_id
    )
    for sent in ("stop", "leave"):
        run_id = await interrupted(visitor, thread_id, sent)
        # Again, after the run has ended: now the command reads the row.
        assert (await visitor.client.post(f"/chatkit/runs/{run_id}/{sent}")).status_code == 204

    other = await visitor.say("another thread")
    items = await visitor.items(thread_id)
    page = {"limit": 1, "order": "desc"}
    for type_, params in (
        ("threads.get_by_id", {"thread_id": thread_id}),
        ("threads.list", {**page}),
        ("threads.list", {**page, "after": other.thread_id}),
        ("items.list", {**page, "thread_id": thread_id}),
        ("items.list", {**page, "thread_id": thread_id, "after": items[-1]["id"]}),
        ("threads.update", {"thread_id": thread_id, "title": "Renamed"}),
        (
            "items.feedback",
            {"thread_id": thread_id, "item_ids": [items[0]["id"]], "kind": "positive"},
        ),
        ("threads.delete", {"thread_id": other.thread_id}),
    ):
        response = await visitor.send(type_, **params)
        assert response.status_code == 200, f"{type_}: {response.text}"


async def interrupted(
    visitor: Visitor, thread_id: str, command: str, text: str = "words " * 100
) -> str:
    """Begin an answer, send the command during it, and wait until the run has ended."""
    params = {"thread_id": thread_id, "input": message(f"[demo:slow] {text}")}
    body = {"type": "threads.add_user_message", "params": params}
    async with visitor.client.stream("POST", "/chatkit", json=body) as response:
        run_id = str(response.headers["x-run-id"])
        async for event_ in streamed(response):
            if is_text(event_):
                break
        await visitor.client.post(f"/chatkit/runs/{run_id}/{command}")

    async def is_over() -> bool:
        running = await visitor.client.get(f"/chatkit/threads/{thread_id}/run")
        return bool(running.json() == {"run": None})

    await until(is_over)
    return run_id


def tables_in(plan: dict[str, Any]) -> tuple[set[tuple[str, str]], set[str]]:
    """The partitions that a plan reads, and the tables that it inserts into.

    A plan does not show the partition of a new row; that depends on the row's owner.
    """
    read: set[tuple[str, str]] = set()
    inserted: set[str] = set()
    name = plan.get("Relation Name", "")
    if part := re.fullmatch(r"(\w+)_part(\d)", name):
        read.add((part[1], part[2]))
    elif plan.get("Operation") == "Insert" and named_in(name):
        inserted.add(name)
    for below in plan.get("Plans", ()):
        more = tables_in(below)
        read |= more[0]
        inserted |= more[1]
    return read, inserted
