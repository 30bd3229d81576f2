"""History stays flat: what a request reads does not grow with what has been said.

PostgreSQL's own account of each statement, on a database in which one user owns half of 20,000
conversations, one of them with 20,000 items. Twice: as planned for the very parameters, and as
PostgreSQL may plan for any once a connection has prepared the statement.
"""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from engine.database.rows import ErasedRow, ItemRow, RunRow, ThreadRow, TokenDayRow, UserRow
from engine.operate.commands.migrate import upgrade
from engine.settings.settings import Settings
from engine.store.store import MAX_PAGE
from engine.tests import plans
from engine.tests.application import create_app
from engine.tests.fixtures import new_database, serving, visiting
from engine.tests.plans import Plan, Recorder, connecting, measure, named_in, nodes
from engine.tests.talk import Visitor

THREADS = 20_000
ITEMS = 200_000
LONG_THREAD_ITEMS = 20_000
RUNS = 28_000
OTHERS = 200
DAYS = 100
PAGE = 20
LONG = {row.__tablename__ for row in (UserRow, ThreadRow, ItemRow, RunRow, TokenDayRow)}

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)

# A row's own page, and one of the index; the way down the indexes, and what a write touches.
BUFFERS_A_ROW = 2
BUFFERS_BESIDES = 40


def owner_of(thread: int) -> str:
    return "heavy" if thread % 2 == 0 else f"user_{thread % OTHERS}"


def thread_id(number: int) -> str:
    return f"thr_{number:032x}"


def item_id(number: int) -> str:
    return f"msg_{number:032x}"


@pytest.fixture(scope="module")
def filled(postgres_url: str, settings: Settings) -> Iterator[Settings]:
    with new_database(postgres_url, f"flat_{secrets.token_hex(4)}") as url:
        upgrade(url)
        asyncio.run(fill(url))
        yield settings.model_copy(update={"database_url": url})


async def fill(url: str) -> None:
    plain = make_url(url).set(drivername="postgresql")
    connection = await asyncpg.connect(plain.render_as_string(hide_password=False))
    users = [("heavy",), *((f"user_{number}",) for number in range(OTHERS))]
    for table, columns, rows in (
        (UserRow, ["id"], users),
        (ThreadRow, ["user_id", "id", "payload", "created_at"], threads()),
        (ItemRow, ["user_id", "thread_id", "id", "type", "payload"], items()),
        (RunRow, [*RUN, "user_id", "id", "started_at"], runs()),
        (TokenDayRow, ["user_id", "day", "tokens"], token_days([name for (name,) in users])),
        (ErasedRow, ["id_hash"], [(secrets.token_hex(32),) for _ in range(THREADS)]),
    ):
        await connection.copy_records_to_table(table.__tablename__, records=rows, columns=columns)
    await connection.execute("ANALYZE")
    await connection.close()


def threads() -> Iterator[tuple[Any, ...]]:
    for number in range(THREADS):
        id_ = thread_id(number)
        thread = {"id": id_, "title": f"Day {number}", **THREAD}
        created_at = LONG_AGO + timedelta(seconds=number)
        yield owner_of(number), id_, json.dumps(thread), created_at


THREAD = {"created_at": "2026-01-01T00:00:00", "status": {"type": "active"}, "metadata": {}}


def items() -> Iterator[tuple[Any, ...]]:
    """The long thread's among the others, which have about nine each."""
    spread = ITEMS // LONG_THREAD_ITEMS
    for number in range(ITEMS):
        thread = 0 if number % spread == 0 else number // spread % THREADS
        place = {"id": item_id(number), "thread_id": thread_id(thread)}
        kind = "user_message" if number % 2 else "assistant_message"
        payload = json.dumps(CONTENT[kind] | place | {"type": kind})
        yield owner_of(thread), place["thread_id"], place["id"], kind, payload


CONTENT: dict[str, dict[str, Any]] = {
    "user_message": {
        "created_at": "2026-01-01T00:00:00",
        "content": [{"type": "input_text", "text": "What was the weather like? " * 3}],
        "attachments": [],
        "inference_options": {},
    },
    "assistant_message": {
        "created_at": "2026-01-01T00:00:00",
        "content": [{"type": "output_text", "text": "It rained. " * 20, "annotations": []}],
    },
}

RUN = {
    "thread_id": thread_id(0),
    "status": "done",
    "request": "threads.create",
    "model": "m",
    "worker": "w",
    "slot": 1,
    "start_seq": 0,
}


def runs() -> Iterator[tuple[Any, ...]]:
    """All of today, none of the last minute (nor the last two, whose turns are limited)."""
    began = datetime.now(UTC) - timedelta(minutes=2)
    midnight = began.replace(hour=0, minute=0, second=0, microsecond=0)
    for number in range(RUNS):
        started_at = midnight + (began - midnight) * (number / RUNS)
        yield *RUN.values(), "heavy", f"run_{number:032x}", started_at


def token_days(users: list[str]) -> Iterator[tuple[Any, ...]]:
    today = datetime.now(UTC).date()
    for user in users:
        for days in range(DAYS):
            yield user, today - timedelta(days=days), 1_000


PAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "threads.get_by_id": ("threads.get_by_id", {"thread_id": thread_id(0)}),
    **{
        f"{type_}, {order}, {depth}": (type_, {**which, "limit": PAGE, "order": order, **after})
        for type_, which, deep, gone in (
            ("threads.list", {}, thread_id(THREADS // 2), thread_id(THREADS // 2 + 1)),
            (
                "items.list",
                {"thread_id": thread_id(0)},
                item_id(ITEMS // 2),
                item_id(ITEMS // 2 + 1),
            ),
        )
        for order in ("asc", "desc")
        # `gone` is somebody else's, which is as if it had been deleted.
        for depth, after in (("first", {}), ("deep", {"after": deep}), ("gone", {"after": gone}))
    },
}


@pytest.mark.parametrize("name", PAGES)
async def test_a_page_reads_its_rows_and_no_others(filled: Settings, name: str) -> None:
    type_, params = PAGES[name]
    async with recording(filled) as (recorder, visitor):
        response = await visitor.send(type_, **params)
        assert response.status_code == 200
        answer = response.json()
        assert len((answer.get("items") or answer)["data"]) == PAGE
    # The row after the page tells whether there are more.
    await check(filled, recorder, PAGE + 1)


async def test_an_item_is_found_without_its_neighbours(filled: Settings) -> None:
    params: dict[str, Any] = {
        "thread_id": thread_id(0),
        "item_ids": [item_id(ITEMS // 2)],
        "kind": "positive",
    }
    async with recording(filled) as (recorder, visitor):
        response = await visitor.send("items.feedback", **params)
        assert response.status_code == 200
    await check(filled, recorder, 1)


async def test_a_turn_reads_a_window_of_the_conversation(filled: Settings) -> None:
    async with recording(filled) as (recorder, visitor):
        turn = await visitor.say("And today?", thread_id(0))
        assert turn.answer
        assert len(recorder.seen) >= 5
    await check(filled, recorder, MAX_PAGE + 1)


@asynccontextmanager
async def recording(settings: Settings) -> AsyncIterator[tuple[Recorder, Visitor]]:
    async with (
        serving(create_app(settings)) as url,
        visiting(url, settings, user_id="heavy") as visitor,
    ):
        with plans.recording() as recorder:
            yield recorder, visitor


async def check(settings: Settings, recorder: Recorder, most: int) -> None:
    assert settings.database_url is not None
    assert recorder.seen
    async with connecting(settings.database_url) as connection:
        for statement, parameters in recorder.seen.items():
            if not named_in(statement) & LONG:
                continue  # PostgreSQL reads through what fits on a page
            for generic in (False, True):
                plan = await measure(connection, statement, parameters, generic=generic)
                told = f"{statement}\n{json.dumps(plan, indent=1)}"
                assert max(map(read_by, nodes(plan))) <= most, told
                # The few rows of all visitors' use fit on one page.
                read_whole = [
                    node["Relation Name"]
                    for node in nodes(plan)
                    if node["Node Type"] == "Seq Scan"
                    and not node["Relation Name"].endswith("visitor_use")
                ]
                assert read_whole == [], told
                buffers = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
                assert buffers <= BUFFERS_A_ROW * most + BUFFERS_BESIDES, told


def read_by(node: Plan) -> int:
    """Rows that a step handed on or threw away, all its repetitions together."""
    removed = sum(value for key, value in node.items() if key.startswith("Rows Removed by"))
    return int((node["Actual Rows"] + removed) * node["Actual Loops"])
