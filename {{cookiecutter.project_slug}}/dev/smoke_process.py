"""The smoke test's servers, from its side. Standard library only: they begin before other imports."""

import json
import subprocess
import sys
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dev.environment import own_environment
from dev.paths import PROJECT_ROOT
from dev.steps import StepFailed

START_SECONDS = 90
STOP_SECONDS = 15
LOG_LINES = 30


class Server:
    """One process: it imports at once, and serves on `start`, on a port of its own choice."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "server.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "dev.smoke_server"],
                cwd=PROJECT_ROOT,
                env=own_environment(PYTHONIOENCODING="utf-8"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )

    def start(self, database_url: str, user_ids: list[str]) -> dict[str, Any]:
        """Serve, and wait until it answers: its url, its users' credentials, what to say."""
        order = json.dumps({"database_url": database_url, "user_ids": user_ids})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        killer = threading.Timer(START_SECONDS, self._process.kill)
        killer.daemon = True
        killer.start()
        ready = b""
        with suppress(BrokenPipeError):
            self._process.stdin.write(f"{order}\n".encode())
            self._process.stdin.flush()
            ready = self._process.stdout.readline()
        if not killer.is_alive():
            raise StepFailed(f"the server did not answer within {START_SECONDS} s")
        killer.cancel()
        if not ready:
            raise StepFailed("the server ended while it was starting")
        return dict(json.loads(ready))

    def stop(self) -> None:
        try:
            self._process.communicate(timeout=STOP_SECONDS)  # which ends its standard input
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()

    def last_words(self) -> str:
        """The end of its log; empty when it said nothing."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n  ".join(["the server's last words:", *lines[-LOG_LINES:]]) if lines else ""


class Servers(ExitStack):
    """Server processes, which are ended with the block whatever happens.

    One builds its application only when it is told to start, so all that the second can know of
    the first comes from the database.
    """

    def __init__(self) -> None:
        super().__init__()
        self.begun: list[Server] = []
        self.first = self.begin()

    def begin(self) -> Server:
        self.begun.append(Server(Path(self.enter_context(TemporaryDirectory()))))
        self.callback(self.begun[-1].stop)
        return self.begun[-1]
