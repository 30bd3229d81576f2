"""A generated project's server in a separate process."""

import json
import re
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from conftest import BakedProject, clean_environment

START_SECONDS = 60
START = """
from dev.paths import POSTGRES_DIR
from dev.postgres import Postgres
print(Postgres(POSTGRES_DIR).start())
"""
BUNDLE = """
import sys
from dev.page import bundle_page
from dev.steps import Progress
print(bundle_page(Progress("page", sys.stdout)))
"""
CREDENTIALS = """
import asyncio, json
from engine.settings.settings import Settings
from app.auth import sign_in
from engine.auth.credentials import sample_credentials
print(json.dumps(asyncio.run(sample_credentials(Settings(), ["anybody"], sign_in))))
"""


@dataclass
class Application:
    """A project's server, which keeps its port after a restart."""

    project: BakedProject
    environment: dict[str, str]
    folder: Path
    url: str = ""
    port: int = 0
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        log = self.folder / "server.log"
        command = ["-m", "uvicorn", "app.main:create_app", "--factory", "--port", str(self.port)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [str(self.project.path / ".venv" / "bin" / "python"), *command],
                cwd=self.project.path,
                env=clean_environment() | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + START_SECONDS
        while not (found := re.search(r"running on (http://\S+)", log.read_text("utf-8"))):
            assert self._process.poll() is None, log.read_text("utf-8")
            assert time.monotonic() < deadline, "the application did not start"
            time.sleep(0.05)
        self.url = found[1]
        self.port = int(self.url.rsplit(":", 1)[1])

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text("utf-8")

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()


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
def visited(project: BakedProject) -> Iterator[httpx2.Client]:
    """Serve a project on its own database; returns a client that is signed in."""
    url = project.run("python", "-c", START).splitlines()[-1]
    placed = BakedProject(
        project.path,
        environment=project.environment
        | {"DATABASE_URL": url, "LOG_LEVEL": "ERROR", "OPENAPI_JSON": "true"},
    )
    [credentials] = json.loads(placed.run("python", "-c", CREDENTIALS).splitlines()[-1])
    port = free_port()
    command = ["uvicorn", "app.main:create_app", "--factory", "--http", "h11", "--port", str(port)]
    with served(placed, [*command, "--no-access-log"]):
        assert answers(f"http://127.0.0.1:{port}/readyz")
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", headers=credentials) as client:
            yield client


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def answers(url: str) -> bool:
    """Wait for a 200. Returns False if there is none within a minute."""
    for _ in range(120):
        try:
            if httpx2.get(url, timeout=5).status_code == 200:
                return True
        except httpx2.TransportError:
            pass
        time.sleep(0.5)
    return False
