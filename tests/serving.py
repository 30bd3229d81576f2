"""A generated project's server, as a process of its own."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
from conftest import BakedProject, clean_environment

START = """
from app.dev.paths import POSTGRES_DIR
from app.dev.postgres import Postgres
print(Postgres(POSTGRES_DIR).start())
"""
CREDENTIALS = """
import asyncio, json
from app.config import Settings
from app.dev.credentials import sample_credentials
print(json.dumps(asyncio.run(sample_credentials(Settings(), ["anybody"]))))
"""


@contextmanager
def served(project: BakedProject, command: list[str]) -> Iterator[None]:
    process = subprocess.Popen(
        [str(project.path / ".venv" / "bin" / command[0]), *command[1:]],
        cwd=project.path,
        env=clean_environment() | project.environment,
        stdin=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def visited(project: BakedProject) -> Iterator[httpx.Client]:
    """Serve a project that has been set up, on its own database; somebody who is signed in there."""
    url = project.run("python", "-c", START).splitlines()[-1]
    placed = BakedProject(
        project.path, environment=project.environment | {"DATABASE_URL": url, "LOG_LEVEL": "ERROR"}
    )
    [credentials] = json.loads(placed.run("python", "-c", CREDENTIALS).splitlines()[-1])
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    command = ["uvicorn", "app.main:create_app", "--factory", "--port", port]
    with served(placed, [*command, "--no-access-log"]):
        assert answers(f"http://127.0.0.1:{port}/readyz")
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=credentials) as client:
            yield client


def answers(url: str) -> bool:
    """True once it says 200; False after a minute of anything else."""
    for _ in range(120):
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return True
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    return False
