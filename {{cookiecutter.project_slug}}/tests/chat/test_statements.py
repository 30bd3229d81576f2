"""What a turn costs the database."""

from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI
from sqlalchemy import event

from app.agent.demo import DemoModel
from app.config import Settings
from app.main import create_app
from tests.conftest import OneModel, serving, visiting

# What the process asks for itself, whoever is talking.
MAINTENANCE = "heartbeat_at <"


@contextmanager
def counted(app: FastAPI) -> Iterator[list[str]]:
    """The statements that the application sends."""
    sent: list[str] = []
    engine = app.state.database.engine.sync_engine

    def hear(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if MAINTENANCE not in statement:
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", hear)


async def test_a_turn_costs_eight_statements_and_the_next_six(settings: Settings) -> None:
    app = create_app(settings, OneModel(settings, DemoModel(0)))
    async with serving(app) as url, visiting(url, settings) as visitor:
        await visitor.say("warming up, in a conversation of its own")
        with counted(app) as first:
            turn = await visitor.say("hello")
        with counted(app) as second:
            await visitor.say("hello again", turn.thread_id)
        with counted(app) as asking:
            await visitor.client.get("/config.json")

    # Who is asking may cost one of its own.
    assert len(asking) <= 1, "\n\n".join(asking)
    assert len(first) == 8 + len(asking), "\n\n".join(first)
    assert len(second) == 6 + len(asking), "\n\n".join(second)
