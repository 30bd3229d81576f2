"""Each statement of a tool is for one owner's rows: where the tables are in parts, it reads one."""

import asyncio
from collections.abc import Iterator

import pytest

from app.agent.tool_list import TOOLS
from app.auth import sign_in
from app.main import create_app
from engine import Settings
from engine.tests.fixtures import new_database, serving_chat, visiting
from engine.tests.plans import recording
from engine.tests.test_partitions import make_partitions, tables_reached


@pytest.fixture
def partitioned_url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, "partitions_of_tools") as url:
        asyncio.run(make_partitions(url))
        yield url


async def test_every_statement_of_a_tool_touches_one_partition(
    partitioned_url: str, settings: Settings
) -> None:
    settings = settings.model_copy(update={"database_url": partitioned_url})
    with recording() as recorder:
        async with (
            serving_chat(create_app(settings)) as url,
            visiting(url, settings, sign_in=sign_in) as visitor,
        ):
            turn = await visitor.say("hello")
            for tool in TOOLS:
                await visitor.say("go on", turn.thread_id, tool=tool.id)
                await visitor.say(tool.prompt or "go on", turn.thread_id, tool=tool.id)

    assert await tables_reached(partitioned_url, recorder, visitor)
