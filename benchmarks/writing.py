"""The write-ahead log of a long answer, and the time of a turn after many turns of the same day."""

import random
import time
from statistics import median

import asyncpg

from benchmarks.client import Connection, connected, new_thread
from benchmarks.results import Goal, Report, Result
from benchmarks.stage import PROJECT_SERVER, connect, create_database, serving, sign_in

WORDS = 17_000
ANSWERS = 3
ANSWER_SECONDS, QUICK_SECONDS = 60, 20

TURNS_OF_A_DAY = 28_000
_TURNS = """
INSERT INTO chatkit_runs
    (user_id, id, thread_id, status, request, model, tokens_in, tokens_out, slot, start_seq, worker,
     started_at, ended_at)
SELECT $1, 'run_bench_' || n, 'thr_bench', 'completed', 'threads.create', 'demo', 100, 100, 1, 0,
    'bench', now(), now()
FROM generate_series(1, $2::int) n
"""


async def write_ahead_log(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    """Bytes of write-ahead log for an answer of 100 kB, compared with the text itself.

    Nothing else uses the server of the database.
    """
    # PostgreSQL compresses what repeats itself.
    text = " ".join(f"{random.getrandbits(20):05x}" for _ in range(WORDS))
    delay = (QUICK_SECONDS if quick else ANSWER_SECONDS) / WORDS
    settings = {"DEMO_DELAY_SECONDS": f"{delay:.5f}", "MESSAGE_CHARS": str(2 * len(text))}
    [user] = sign_in(["long"])
    written = []
    database = await connect(url)
    with serving(PROJECT_SERVER, url, **settings) as server:
        async with connected(server.port, user) as client:
            await _answer(client, "Hello")
            # Otherwise autovacuum might run during the measurement, and its writes would count.
            await database.execute("VACUUM (ANALYZE)")
            await database.execute("CHECKPOINT")
            for _ in range(min(rounds, ANSWERS)):
                before = await _position(database)
                await _answer(client, text)
                written.append(float(await _position(database) - before))
    await database.close()
    size = (float(len(text)),) * len(written)
    name = f"write-ahead log of an answer of {len(text) // 1000} kB"
    report(Result(name, "B", tuple(written), size, "its text", Goal(20, "at most")))


async def claim(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    """The time of a short turn after 28,000 turns of the same day, compared with the first ones."""
    busy, idle = sign_in(["busy", "idle"])
    turns = 20 if quick else 60
    times: dict[str, list[float]] = {"busy": [], "idle": []}
    url = await create_database(url, "claims", "bench_claims_now")
    with serving(
        PROJECT_SERVER, url, DEMO_DELAY_SECONDS="0", TOKENS_PER_DAY="1000000000"
    ) as server:
        async with connected(server.port, busy) as late, connected(server.port, idle) as early:
            await _answer(late, "Hello")
            await _answer(early, "Hello")
            database = await connect(url)
            user_id = await database.fetchval(
                "SELECT user_id FROM chatkit_runs ORDER BY started_at LIMIT 1"
            )
            await database.execute(_TURNS, user_id, TURNS_OF_A_DAY)
            await database.execute("ANALYZE chatkit_runs")
            await database.close()
            for round_ in range(rounds):
                pairs = [("busy", late), ("idle", early)]
                for name, client in pairs[:: 1 if round_ % 2 else -1]:
                    times[name].append(await _milliseconds(client, turns))
    report(
        Result(
            f"a turn after {TURNS_OF_A_DAY:,} of the day",
            "ms",
            tuple(times["busy"]),
            tuple(times["idle"]),
            "the day's first",
            Goal(1.3, "at most"),
        )
    )


async def _answer(client: Connection, text: str) -> None:
    async for _event in client.stream(new_thread(text)):
        pass


async def _milliseconds(client: Connection, turns: int) -> float:
    times = []
    for _ in range(turns):
        started = time.perf_counter()
        await _answer(client, "Hello")
        times.append(time.perf_counter() - started)
    return median(times) * 1000


async def _position(database: asyncpg.Connection) -> int:
    """Bytes of write-ahead log that this server has ever written."""
    position: int = await database.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn")
    return position
