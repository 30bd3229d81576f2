"""The cost of database options: each is compared with the same application without it."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from sqlalchemy.engine import make_url

from benchmarks.client import connected, new_thread
from benchmarks.data import HEAVY_USER, Data, load
from benchmarks.history import FEW_THREADS, item_pages, requests_a_second
from benchmarks.results import Report, Result
from benchmarks.stage import (
    POOL_SIZE,
    PROJECT,
    PROJECT_SERVER,
    Server,
    connect,
    copy_database,
    environment,
    migrate,
    python,
    serving,
    sign_in,
)
from benchmarks.turn import count_statements, log_statements

ROLE = "bench_owner"
WITHOUT = "without"
ROW_SECURITY = {"ROW_LEVEL_SECURITY": "true"}

_OWN = f"""
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' LOOP
        EXECUTE format('ALTER TABLE %I OWNER TO {ROLE}', name);
    END LOOP;
    EXECUTE format('ALTER DATABASE %I OWNER TO {ROLE}', current_database());
END $$
"""
_HAS_PGBOUNCER = "from engine.tests.test_pgbouncer import PROGRAM; print(PROGRAM or '')"
_PGBOUNCER = """
import sys
from sqlalchemy.engine import make_url
from engine.tests.test_pgbouncer import pgbouncer
with pgbouncer(make_url(sys.argv[1]), int(sys.argv[2])) as url:
    print(url, flush=True)
    sys.stdin.read()
"""


async def row_security(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    """Both databases belong to an ordinary role, because a superuser bypasses every policy."""
    data = await load(url, FEW_THREADS)
    copies = [await copy_database(data.url, f"bench_{kind}") for kind in ("secured", "plain")]
    secured, plain = [await _owned_by_role(copy) for copy in copies]
    await migrate(secured, **ROW_SECURITY)
    with (
        serving(PROJECT_SERVER, secured, **ROW_SECURITY, DEMO_DELAY_SECONDS="0") as ours,
        serving(PROJECT_SERVER, plain, DEMO_DELAY_SECONDS="0") as without,
    ):
        await _compare("row-level security", data, (ours, without), report, rounds, quick=quick)

    for copy in copies:
        await log_statements(copy)
    counts = (
        await count_statements(secured, rounds, **ROW_SECURITY),
        await count_statements(plain, rounds),
    )
    for kind in counts[0]:
        ours_trips, trips = (tuple(float(sum(n)) for n in counted[kind]) for counted in counts)
        name = f"round trips, {kind}, row-level security"
        report(Result(name, "", ours_trips, trips, WITHOUT))


async def _owned_by_role(url: str) -> str:
    """Let an ordinary role own the database and its tables; returns the role's URL."""
    connection = await connect(url)
    if not await connection.fetch("SELECT 1 FROM pg_roles WHERE rolname = $1", ROLE):
        await connection.execute(f"CREATE ROLE {ROLE} LOGIN")
    await connection.execute(_OWN)
    await connection.close()
    return make_url(url).set(username=ROLE).render_as_string(hide_password=False)


async def pooler(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    """Both have the same number of server connections: PgBouncer's, or the application's own."""
    if not python(_HAS_PGBOUNCER).strip():
        print("skipped: pgbouncer is not installed here")
        return
    data = await load(url, FEW_THREADS)
    direct = await copy_database(data.url, "bench_plain")
    pooled = {"DATABASE_DIRECT_URL": direct, "TRANSACTION_POOLER": "true"}
    with (
        _pgbouncer(direct) as through,
        serving(PROJECT_SERVER, through, **pooled, DEMO_DELAY_SECONDS="0") as ours,
        serving(PROJECT_SERVER, direct, DEMO_DELAY_SECONDS="0") as without,
    ):
        await _compare("PgBouncer", data, (ours, without), report, rounds, quick=quick)


@contextmanager
def _pgbouncer(url: str) -> Iterator[str]:
    """A PgBouncer in transaction mode, as in the project's own tests."""
    process = subprocess.Popen(
        [sys.executable, "-c", _PGBOUNCER, url, str(POOL_SIZE)],
        cwd=PROJECT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.stdin.close()


async def _compare(
    name: str,
    data: Data,
    servers: tuple[Server, Server],
    report: Report,
    rounds: int,
    *,
    quick: bool,
) -> None:
    """Pages a second and the time of a turn, with the option and without it."""
    seconds, turns = (1.0, 20) if quick else (3.0, 60)
    [user] = sign_in([HEAVY_USER])
    request = item_pages(data.long_thread)
    rates: tuple[list[float], list[float]] = ([], [])
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(-1, rounds):
        for index in (0, 1) if round_ % 2 else (1, 0):
            rate = await requests_a_second(servers[index], user, request, seconds)
            milliseconds = await _turn_milliseconds(servers[index], user, turns)
            if round_ >= 0:  # not in the warm-up round
                rates[index].append(rate)
                times[index].append(milliseconds)
    for what, unit, measured in (("items.list, requests/s", "/s", rates), ("a turn", "ms", times)):
        ours, without = map(tuple, measured)
        report(Result(f"{what}, {name}", unit, ours, without, WITHOUT))


async def _turn_milliseconds(server: Server, user: dict[str, str], turns: int) -> float:
    """The time from the request to the end of a short answer."""
    times = []
    async with connected(server.port, user) as client:
        for _ in range(turns):
            started = time.perf_counter()
            async for _event in client.stream(new_thread("Hello")):
                pass
            times.append(time.perf_counter() - started)
    return median(times) * 1000
