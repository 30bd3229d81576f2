"""From starting the process until `/readyz` says 200, beside a process that only imports."""

import subprocess
import sys
import time

from benchmarks.data import load
from benchmarks.history import FEW_THREADS
from benchmarks.results import Goal, Report, Result
from benchmarks.stage import PROJECT, PROJECT_SERVER, environment, serving

# What no ChatKit server on FastAPI and PostgreSQL can do without, imported and nothing more.
IMPORTS = "import agents, asyncpg, chatkit.agents, chatkit.server, fastapi, sqlalchemy.ext.asyncio, uvicorn"


async def ready(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    data = await load(url, FEW_THREADS)
    ours, floor = [], []
    for round_ in range(-1, rounds):  # the first writes the byte code
        imported = _seconds_to_import()
        with serving(PROJECT_SERVER, data.url) as server:
            if round_ >= 0:
                floor.append(imported)
                ours.append(server.ready_seconds)
    goal = Goal(1.3, "at most")
    report(Result("start to ready", "s", tuple(ours), tuple(floor), "importing", goal))


def _seconds_to_import() -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", IMPORTS], cwd=PROJECT, env=environment(), check=True)
    return time.perf_counter() - started
