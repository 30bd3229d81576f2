"""Nothing that people, models or tools said leaves the process, nor links, codes and keys."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

pytest.importorskip("opentelemetry.instrumentation.sqlalchemy", reason="needs the extra telemetry")

from engine.database.database import TABLE_PREFIX
from engine.operate.commands.migrate import upgrade
from engine.settings.settings import PROJECT_ROOT, Settings
from engine.tests.fixtures import new_database, visiting
from engine.tests.model_server import answer, model_server
from engine.tests.telemetry.collector import Collector, collecting
from engine.tests.telemetry.talks import KEY, SAID, SECRETS, TALKS, Talk
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
TURNS_OF_A_ROUND = 45


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
        async with httpx.AsyncClient(base_url=self.url, timeout=30) as client:
            for _ in range(START_SECONDS * 20):
                assert process.poll() is None, self._log.read_text()
                try:
                    await client.get("/healthz")
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                else:
                    return
        raise AssertionError("the application does not start")


@pytest.fixture(scope="module")
def own_settings(postgres_url: str, settings: Settings) -> Iterator[Settings]:
    """With a database of its own, in which a message that says so cannot be stored."""
    with new_database(postgres_url, f"telemetry_{secrets.token_hex(4)}") as url:
        upgrade(url)
        asyncio.run(_refuse_messages(url))
        yield settings.model_copy(update={"database_url": url})


async def _refuse_messages(url: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        statement = (
            f"ALTER TABLE {TABLE_PREFIX}thread_items ADD CONSTRAINT polite "
            "CHECK (payload::text NOT LIKE '%cannot be stored%')"
        )
        await connection.execute(text(statement))
    await engine.dispose()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


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


async def talk_of_everything(talk: Talk) -> None:
    for kind in TALKS:
        await kind(talk)
        talk.model.forget()
    talk.model.does(answer("never"))
    await talk.visitor.say(f"{SAID} cannot be stored")
    talk.model.forget()


def check(collector: Collector, log: Path) -> None:
    for place, content in (("export", collector.everything), ("log", log.read_bytes())):
        for secret in SECRETS:
            at = content.find(secret.encode())
            assert at < 0, f"in the {place}: {content[max(0, at - 400) : at + 100]!r}"


@pytest.mark.parametrize("tracing", ["false", "true"])
async def test_own_telemetry(
    own_settings: Settings, collector: Collector, log: Path, tracing: str
) -> None:
    async with exporting(own_settings, collector, log, TRACING=tracing) as talk:
        await talk_of_everything(talk)

    check(collector, log)
    assert {"turn", "model", "agent Assistant", "tool shout"} <= names_of(collector)
    assert "the tool stumble failed" in {record.body.string_value for record in collector.logs}


@pytest.mark.skipif(find_spec("opentelemetry.distro") is None, reason="needs opentelemetry-distro")
@pytest.mark.parametrize("application", ["create_app", "create_other_app"])
async def test_an_application_that_is_instrumented_from_outside(
    own_settings: Settings, collector: Collector, log: Path, application: str
) -> None:
    outside = f"engine.tests.telemetry.served:{application}"
    async with exporting(own_settings, collector, log, outside=outside) as talk:
        await talk_of_everything(talk)

    check(collector, log)
    assert {"turn", "model", "tool shout", "openai.response"} <= names_of(collector)


@pytest.mark.slow
async def test_a_thousand_turns(own_settings: Settings, collector: Collector, log: Path) -> None:
    async with exporting(own_settings, collector, log) as talk:
        for _ in range(1 + 1_000 // TURNS_OF_A_ROUND):
            await talk_of_everything(talk)

    check(collector, log)
    assert sum(span.name == "turn" for span in collector.spans) >= 1_000


def names_of(collector: Collector) -> set[str]:
    return {span.name for span in collector.spans}
