"""The application in a process of its own, which exports to a collector of the tests."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib import import_module
from pathlib import Path

import httpx2

from engine.settings.settings import PROJECT_ROOT, Settings
from engine.tests.application import kind_of_files
from engine.tests.fixtures import visiting
from engine.tests.model_server import answer, model_server
from engine.tests.telemetry.collector import Collector
from engine.tests.telemetry.talks import ANSWERED, KEY, TITLE, Talk
from engine.tests.workers import START_SECONDS, Worker, server_command

SOON = {
    "OTEL_BSP_SCHEDULE_DELAY": "50",
    "OTEL_BLRP_SCHEDULE_DELAY": "50",
    "OTEL_METRIC_EXPORT_INTERVAL": "200",
}
# All that libraries record when they are asked to.
CURIOUS = {
    "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
    "OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED": "true",
    "OTEL_PYTHON_LOG_LEVEL": "debug",
    "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "true",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": ".*",
    "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE": ".*",
    "TRACELOOP_TRACE_CONTENT": "true",
    "FASTAPI_OTEL_AUTO_CONFIGURE": "true",
}


TITLES, SUMMARIES = "titles-model", "summaries-model"
LIMITS = {
    **{"MODEL_RETRIES": "1", "TURNS_PER_MINUTE": "100000", "RUNNING_ANSWERS_PER_USER": "100"},
    **{"TITLE_MODEL": TITLES, "SUMMARY_MODEL": SUMMARIES, "HISTORY_TOKENS": "1000"},
    **{"LOG_LEVEL": "DEBUG", "SHUTDOWN_SECONDS": "0"},
}


@contextmanager
def place_of_files(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of an application that stores files; nothing if it stores none."""
    if (kind := kind_of_files()) is None:
        yield {}
        return
    with import_module(f"engine.tests.attachments.{kind}.kind").place(folder) as environment:
        yield environment


class Exporting(Worker):
    application = "engine.tests.telemetry.served:create_app"


class Instrumented:
    """The application as `opentelemetry-instrument` starts it, with whatever is installed."""

    def __init__(self, application: str, environment: dict[str, str], log: Path) -> None:
        worker = Worker(Settings())
        self.url = worker.url
        self._command = [
            str(Path(sys.executable).with_name("opentelemetry-instrument")),
            *(sys.executable, "-m", "uvicorn"),
            *server_command(application, int(self.url.rpartition(":")[2])),
        ]
        self._environment = os.environ | environment
        self._log = log

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        with self._log.open("wb") as log:
            process = subprocess.Popen(  # noqa: ASYNC220 (it does not wait)
                self._command, env=self._environment, cwd=PROJECT_ROOT, stdout=log, stderr=log
            )
        try:
            await self._answers(process)
            yield
            process.terminate()
            await asyncio.to_thread(process.wait, START_SECONDS)
        finally:
            process.kill()
            process.wait()

    async def _answers(self, process: subprocess.Popen[bytes]) -> None:
        async with httpx2.AsyncClient(base_url=self.url, timeout=30) as client:
            for _ in range(START_SECONDS * 20):
                assert process.poll() is None, self._log.read_text()
                try:
                    await client.get("/healthz")
                except httpx2.TransportError:
                    await asyncio.sleep(0.05)
                else:
                    return
        raise AssertionError("the application does not start")


@asynccontextmanager
async def exporting(
    settings: Settings, collector: Collector, log: Path, *, outside: str | None = None, **more: str
) -> AsyncIterator[Talk]:
    """The application in a process of its own. After the block it has exported everything.

    `outside` is the application that is instrumented from outside.
    """
    assert settings.database_url is not None
    async with model_server() as (model, url):
        model.of_models = {
            TITLES: answer(f"On {TITLE}"),
            SUMMARIES: answer(f"They spoke of {ANSWERED}."),
        }
        with place_of_files(log.parent) as files:
            environment = {
                **{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **SOON},
                **{"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url, **LIMITS, **files, **more},
            }
            async with (
                running(settings, log, outside, environment) as address,
                visiting(address, settings) as visitor,
            ):
                yield Talk(visitor, model)


@asynccontextmanager
async def running(
    settings: Settings, log: Path, outside: str | None, environment: dict[str, str]
) -> AsyncIterator[str]:
    """Yields the URL of the application, which is stopped in good order after the block."""
    if outside is not None:
        database = {"DATABASE_URL": str(settings.database_url)}
        instrumented = Instrumented(outside, environment | database | CURIOUS, log)
        async with instrumented.running():
            yield instrumented.url
        return
    worker = Exporting(settings, **environment)
    worker.log = log
    try:
        await worker.start()
        yield worker.url
        worker.terminate()
        await worker.wait()
    finally:
        worker.kill()
