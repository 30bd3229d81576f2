"""A generated project, served by its own uvicorn."""

import re
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from conftest import BakedProject, clean_environment

START_SECONDS = 60


@dataclass
class Application:
    """Its server, on a port that it keeps when it is started again."""

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

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()
