"""The time from the start until `/readyz` answers 200, compared with a process that only imports."""

import subprocess
import sys
import time

from benchmarks.data import load
from benchmarks.history import FEW_THREADS
from benchmarks.results import Goal, Report, Result
from benchmarks.stage import PROJECT, PROJECT_SERVER, environment, serving

# The imports that every ChatKit server with FastAPI and PostgreSQL needs.
IMPORTS = "import agents, asyncpg, chatkit.agents, chatkit.server, fastapi, sqlalchemy.ext.asyncio, uvicorn"


async def ready(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    data = await load(url, FEW_THREADS)
    ours, floor = [], []
    for round_ in range(-1, rounds):  # the first round writes the bytecode
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
