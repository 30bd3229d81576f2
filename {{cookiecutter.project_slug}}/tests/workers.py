"""The application in processes of its own, to be killed."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import BinaryIO

import httpx
from fastapi import FastAPI

from app import main
from app.config import PROJECT_ROOT, EnvSettings, Settings
from tests.conftest import every_settings_class, visiting
from tests.talk import Visitor

START_SECONDS = 60


def create_app() -> FastAPI:
    """What the image starts, but deaf to `.env`: it may hold a key that costs money."""
    for settings in every_settings_class(EnvSettings):
        settings.model_config["env_file"] = None
    return main.create_app()


class Worker:
    """The application under uvicorn, as the image starts it, with these settings."""

    log: BinaryIO | None = None

    def __init__(self, settings: Settings, *arguments: str, **changes: object) -> None:
        self.settings = settings
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._arguments: Sequence[str] = arguments
        self._environment = {name.upper(): str(value) for name, value in changes.items()}
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start it, again if it has been killed, and wait until it is alive."""
        assert self.settings.database_url is not None
        command = [sys.executable, "-m", "uvicorn", "tests.workers:create_app", "--factory"]
        command += ["--ws", "none", "--port", str(self._port), "--log-level", "warning"]
        command += ["--timeout-graceful-shutdown", "30", *self._arguments]
        environment = {"DATABASE_URL": self.settings.database_url, **self._environment}
        self._process = subprocess.Popen(  # noqa: ASYNC220, S603 — known, and quick
            command,
            cwd=PROJECT_ROOT,
            env=os.environ | environment,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        async with httpx.AsyncClient(base_url=self.url) as client:
            for _ in range(START_SECONDS * 20):
                assert self._process.poll() is None, "the worker does not start"
                try:
                    await client.get("/healthz")
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                else:
                    return
        raise AssertionError("the worker does not start")

    def kill(self) -> None:
        """All of its processes: with `--workers` it has children, which would outlive it."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """The first process alone, as whoever runs it would; it passes the signal on."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()

    @property
    def pid(self) -> int:
        """Of its first process, which is also the number of its session."""
        assert self._process is not None
        return self._process.pid

    async def wait(self, seconds: float = 40) -> int:
        """Its exit code."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, seconds)


@asynccontextmanager
async def working(
    settings: Settings, *arguments: str, **changes: object
) -> AsyncIterator[tuple[Worker, Visitor]]:
    """A worker that has started, and somebody who uses it."""
    worker = Worker(settings, *arguments, **changes)
    await worker.start()
    try:
        async with visiting(worker.url, settings) as visitor:
            yield worker, visitor
    finally:
        worker.kill()
        await worker.wait()
