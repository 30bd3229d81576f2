"""The SQL statements of a turn, counted in PostgreSQL's log."""

import asyncio
import json
from collections.abc import Iterator

from benchmarks.client import Connection, add_message, connected, new_thread
from benchmarks.results import Goal, Report, Result
from benchmarks.stage import (
    POSTGRES,
    PROJECT_SERVER,
    connect,
    create_database,
    serving,
    sign_in,
)

NEW_THREAD, OLD_THREAD = 8, 6
LOG = POSTGRES.with_name(f"{POSTGRES.name}.log")

# Statements of transactions, which are counted separately as round trips.
FRAMES = ("BEGIN", "COMMIT", "ROLLBACK", ";")


async def statements(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    database = await create_database(url, "counted", "bench_counted_now")
    await log_statements(database)
    counts = await count_statements(database, rounds)
    for (name, counted), allowed in zip(counts.items(), (NEW_THREAD, OLD_THREAD), strict=True):
        said, framed = (tuple(float(n) for n in column) for column in zip(*counted, strict=True))
        allowance = (float(allowed),) * rounds
        report(
            Result(f"statements a turn, {name}", "", said, allowance, "allowed", Goal(1, "at most"))
        )
        trips = tuple(s + f for s, f in zip(said, framed, strict=True))
        report(Result(f"… with BEGIN, COMMIT and pings, {name}", "", trips, said, "statements"))


async def log_statements(url: str) -> None:
    """Log each statement of new connections to that database."""
    connection = await connect(url)
    name = await connection.fetchval("SELECT current_database()")
    await connection.execute(f"ALTER DATABASE \"{name}\" SET log_statement = 'all'")
    await connection.close()


async def count_statements(
    url: str, rounds: int, **settings: str
) -> dict[str, list[tuple[int, int]]]:
    """The statements of turns in new and old threads, and the number of those of transactions."""
    [us] = sign_in(["counted"])
    counts: dict[str, list[tuple[int, int]]] = {"a new thread": [], "an old thread": []}
    with serving(PROJECT_SERVER, url, DEMO_DELAY_SECONDS="0", **settings) as server:
        async with connected(server.port, us) as client:
            await _turn(client, new_thread("Hello"))  # creates the user's row, and warms up
            for _ in range(rounds):
                start = LOG.stat().st_size
                thread_id = await _turn(client, new_thread("Hello"))
                counts["a new thread"].append(_count(start))
                start = LOG.stat().st_size
                await _turn(client, add_message(thread_id, "Hello again"))
                counts["an old thread"].append(_count(start))
    return counts


async def _turn(client: Connection, request: dict[str, object]) -> str:
    """Run a turn and wait until all of its writes are finished; returns the thread's id."""
    events = [event async for event in client.stream(request)]
    await asyncio.sleep(0.3)
    first = json.loads(events[0].removeprefix(b"data: "))
    thread_id: str = first["thread"]["id"] if first["type"] == "thread.created" else ""
    return thread_id


def _count(start: int) -> tuple[int, int]:
    """The number of statements after that position of the log, and of those of transactions."""
    said = framed = 0
    for statement in _logged(start):
        if statement.upper().startswith(FRAMES):
            framed += 1
        else:
            said += 1
    return said, framed


def _logged(start: int) -> Iterator[str]:
    with LOG.open("rb") as file:
        file.seek(start)
        for raw in file:
            line = raw.decode(errors="replace")
            for mark in ("LOG:  statement: ", "LOG:  execute "):
                _, found, rest = line.partition(mark)
                if found:
                    # A prepared statement follows its name.
                    yield rest.partition(": ")[2] if mark.endswith("execute ") else rest
