"""The application in processes of its own, which tests can kill.

Each is forked from one process that has imported the SDKs, because importing takes longest.
"""

import asyncio
import multiprocessing
import os
import shlex
import signal
import socket
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx2
import uvicorn
import uvicorn._subprocess
from fastapi import FastAPI

from engine.settings.settings import PROJECT_ROOT, EnvSettings, Settings
from engine.tests import application
from engine.tests.fixtures import every_settings_class, visiting
from engine.tests.talk import Visitor

START_SECONDS = 60
STYLE_BY_PROXY = PROJECT_ROOT / "engine" / "auth" / "proxy"


def create_app() -> FastAPI:
    """The application of the image, but without `.env`, which may have a key that costs money."""
    for settings in every_settings_class(EnvSettings):
        settings.model_config["env_file"] = None
    return application.create_app()


# The options in docs/deploy.md, and in the image if there is one.
SERVER = shlex.split(
    "--ws none --http h11 --h11-max-incomplete-event-size 65536 "
    "--timeout-keep-alive 620 --timeout-graceful-shutdown 30"
)


def server_command(application: str, port: int) -> list[str]:
    """The arguments of uvicorn, for this application and this machine alone."""
    # A proxy that signs users in is known by its address, which X-Forwarded-For must not replace.
    proxy = "--no-proxy-headers" if STYLE_BY_PROXY.exists() else "--proxy-headers"
    return [application, "--factory", "--host", "127.0.0.1", "--port", str(port), *SERVER, proxy]


def run(arguments: Sequence[str], environment: dict[str, str], log: Path | None) -> None:
    """Run uvicorn's command in a process session of its own."""
    os.setsid()
    os.chdir(PROJECT_ROOT)
    os.environ.clear()
    os.environ.update(environment)
    # multiprocessing's standard input is a file that uvicorn's child processes lack
    sys.stdin = os.fdopen(0, closefd=False)
    # The child processes of `--workers` are forked too, so that they need not import the SDKs.
    children: Any = uvicorn._subprocess
    children.spawn = multiprocessing.get_context("fork")
    if log is not None:
        said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(said, 1)
        os.dup2(said, 2)
    uvicorn.main(arguments)


class Worker:
    """The application with these settings under uvicorn, as the image starts it."""

    application = "engine.tests.workers:create_app"
    log: Path | None = None

    def __init__(self, settings: Settings, *arguments: str, **changes: object) -> None:
        self.settings = settings
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._arguments: Sequence[str] = arguments
        self._environment: dict[str, str] = {}
        self.change(**changes)
        self._process: BaseProcess | None = None

    def change(self, **changes: object) -> None:
        """Change settings for the next start."""
        self._environment |= {name.upper(): str(value) for name, value in changes.items()}

    async def start(self) -> None:
        """Start the process and wait until it answers. Can be called again after `kill`."""
        assert self.settings.database_url is not None
        command = server_command(self.application, self._port)
        command += ["--log-level", "warning", *self._arguments]
        environment = {"DATABASE_URL": self.settings.database_url, **self._environment}
        forks = multiprocessing.get_context("forkserver")
        forks.set_forkserver_preload([__name__])
        self._process = forks.Process(
            target=run, args=(command, os.environ | environment, self.log)
        )
        await asyncio.to_thread(self._process.start)
        async with httpx2.AsyncClient(base_url=self.url, timeout=30) as client:
            for _ in range(START_SECONDS * 20):
                assert self._process.is_alive(), "the worker does not start"
                try:
                    await client.get("/healthz")
                except httpx2.TransportError:
                    await asyncio.sleep(0.05)
                else:
                    return
        raise AssertionError("the worker does not start")

    def kill(self) -> None:
        """Kill the process and its children, which `--workers` starts."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM to the first process, which passes it on."""
        assert self._process is not None
        self._process.terminate()

    @property
    def pid(self) -> int:
        """The id of the first process, and of its process session."""
        assert self._process is not None
        assert self._process.pid is not None
        return self._process.pid

    async def wait(self, seconds: float = 90) -> int:
        """The exit code. Raises AssertionError if the process does not end in time."""
        assert self._process is not None
        await asyncio.to_thread(self._process.join, seconds)
        assert self._process.exitcode is not None, "the worker does not end"
        return self._process.exitcode


@asynccontextmanager
async def working(
    settings: Settings, *arguments: str, **changes: object
) -> AsyncIterator[tuple[Worker, Visitor]]:
    """A started worker and a user."""
    worker = Worker(settings, *arguments, **changes)
    try:
        await worker.start()
        async with visiting(worker.url, settings) as visitor:
            yield worker, visitor
    finally:
        worker.kill()
        await worker.wait()
