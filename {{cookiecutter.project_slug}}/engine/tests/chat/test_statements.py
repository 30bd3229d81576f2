"""The number of statements per turn, and which commits wait for the disk."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import event

from engine.database.database import ASYNC_COMMIT, Database
from engine.database.rows import ItemRow, RunRow, ThreadRow, UserRow
from engine.database.tables import owned_tables
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.fixtures import OneModel, demo_model, serving, visiting

# Part of statements that the process sends independently of requests.
MAINTENANCE = "heartbeat_at <"


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """The statements that the application sends."""
    sent: list[str] = []
    engine = database.engine.sync_engine

    def record(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if MAINTENANCE not in statement:
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", record)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", record)


async def test_a_first_turn_sends_eight_statements_and_the_next_six(settings: Settings) -> None:
    app = create_app(settings, OneModel(settings, demo_model()))
    async with serving(app) as url, visiting(url, settings) as visitor:
        await visitor.say("warming up, in a conversation of its own")
        with counted(app.state.chat.database) as first:
            turn = await visitor.say("hello")
        with counted(app.state.chat.database) as second:
            await visitor.say("hello again", turn.thread_id)
        with counted(app.state.chat.database) as asking:
            await visitor.client.get("/config.json")

    # Authentication may send one statement.
    assert len(asking) <= 1, "\n\n".join(asking)
    assert len(first) == 8 + len(asking), "\n\n".join(first)
    assert len(second) == 6 + len(asking), "\n\n".join(second)


async def test_only_items_and_the_end_of_a_run_wait_for_the_disk(
    settings: Settings,
) -> None:
    app = create_app(settings, OneModel(settings, demo_model()))
    async with serving(app) as url, visiting(url, settings) as visitor:
        with counted(app.state.chat.database) as sent:
            await visitor.say("hello")

    waits = [ASYNC_COMMIT.name not in statement for statement in sent]
    wrote = [_written(statement) for statement in sent]
    assert [table for table, waited in zip(wrote, waits, strict=True) if not waited] == [
        RunRow.__tablename__,  # the claim
        ThreadRow.__tablename__,
        ThreadRow.__tablename__,  # its title
    ]
    assert ItemRow.__tablename__ in [t for t, waited in zip(wrote, waits, strict=True) if waited]
    assert wrote[-1] == RunRow.__tablename__
    assert waits[-1], "the end of a run is waited for"


def _written(statement: str) -> str:
    """The table that a statement writes, other than users; empty if it only reads."""
    ours = {table.name for table in owned_tables()} - {UserRow.__tablename__}
    tables = re.findall(r"(?:INSERT INTO|UPDATE) (\w+)", statement)
    return next((table for table in tables if table in ours), "")
