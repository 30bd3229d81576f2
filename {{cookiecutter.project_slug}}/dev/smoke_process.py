"""The server process of the smoke test, from this side. Standard library only: it is started
before anything else is imported, since its own imports are what takes longest.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.request import urlopen

from dev.environment import own_environment
from dev.paths import PROJECT_ROOT

START_SECONDS = 90
STOP_SECONDS = 15
LOG_LINES = 30


class SmokeFailure(Exception):
    """A check that did not hold: what was expected and what came."""


class Server:
    """One process: it imports at once, and serves on `start`, on a port of its own choice."""

    def __init__(self, folder: Path) -> None:
        self._ready_file = folder / "ready.json"
        self._log = folder / "server.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dev.smoke_server", str(self._ready_file)],
                cwd=PROJECT_ROOT,
                env=own_environment(PYTHONIOENCODING="utf-8"),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        assert self._process.stdin is not None
        self._input = self._process.stdin

    def start(self, database_url: str, user_ids: list[str]) -> dict[str, Any]:
        """Serve, and wait until it answers: its url, its users' credentials, what to say."""
        order = json.dumps({"database_url": database_url, "user_ids": user_ids})
        try:
            self._input.write(f"{order}\n".encode())
            self._input.flush()
        except BrokenPipeError:
            self._process.wait()
        return self._wait()

    def stop(self) -> None:
        with suppress(BrokenPipeError):
            self._input.close()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def last_words(self) -> str:
        """The end of its log; empty when it said nothing."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n  ".join(["the server's last words:", *lines[-LOG_LINES:]]) if lines else ""

    def _wait(self) -> dict[str, Any]:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise SmokeFailure("the server ended while it was starting")
            if self._ready_file.exists():
                ready: dict[str, Any] = json.loads(self._ready_file.read_text(encoding="utf-8"))
                if _is_healthy(ready["url"]):
                    return ready
            time.sleep(0.02)
        raise SmokeFailure(f"the server did not answer within {START_SECONDS} s")


@contextmanager
def two_servers() -> Iterator[tuple[Server, Server]]:
    """Two processes that import side by side; whatever happens, both are ended.

    The second builds its application only when it is told to start, so all that it can know of
    the first comes from the database.
    """
    with ExitStack() as stack:
        servers = []
        for _ in range(2):
            folder = stack.enter_context(TemporaryDirectory())
            servers.append(Server(Path(folder)))
            stack.callback(servers[-1].stop)
        first, second = servers
        try:
            yield first, second
        except SmokeFailure as failure:
            said = [text for server in servers if (text := server.last_words())]
            raise SmokeFailure("\n".join([str(failure), *said])) from failure


def _is_healthy(url: str) -> bool:
    try:
        with urlopen(f"{url}/healthz", timeout=5) as response:  # noqa: S310 — our own address
            return bool(response.status == 200)
    except OSError:
        return False
