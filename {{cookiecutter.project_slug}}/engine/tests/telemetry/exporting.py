"""The application in a process of its own, which exports to a collector of the tests."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from engine.settings.settings import PROJECT_ROOT, Settings
from engine.tests.fixtures import visiting
from engine.tests.model_server import model_server
from engine.tests.telemetry.collector import Collector
from engine.tests.telemetry.talks import KEY, Talk
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
        environment = {
            **{"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, **SOON},
            **{"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": url, "MODEL_RETRIES": "1"},
            **{"TURNS_PER_MINUTE": "100000", "LOG_LEVEL": "DEBUG", "SHUTDOWN_SECONDS": "0"},
            **{"RUNNING_ANSWERS_PER_USER": "100", **more},
        }
        if outside is not None:
            environment |= {"DATABASE_URL": settings.database_url, **CURIOUS}
            instrumented = Instrumented(outside, environment, log)
            async with instrumented.running(), visiting(instrumented.url, settings) as visitor:
                yield Talk(visitor, model)
            return
        worker = Exporting(settings, **environment)
        worker.log = log
        try:
            await worker.start()
            async with visiting(worker.url, settings) as visitor:
                yield Talk(visitor, model)
            worker.terminate()
            await worker.wait()
        finally:
            worker.kill()
