"""Nothing that people, models or tools said leaves the process, nor links, codes and keys."""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import AsyncExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

pytest.importorskip("opentelemetry.instrumentation.sqlalchemy", reason="needs the extra telemetry")

from engine.database.database import TABLE_PREFIX
from engine.operate.commands.migrate import upgrade
from engine.settings.settings import Settings
from engine.tests.fixtures import new_database
from engine.tests.model_server import answer
from engine.tests.telemetry.collector import Collector, collecting
from engine.tests.telemetry.exporting import exporting
from engine.tests.telemetry.talks import (
    CALLED,
    SAID,
    SECRETS,
    TALKS,
    Talk,
    answering,
    be_refused_by_the_model,
    call_tools,
)


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


async def talk_of_everything(talk: Talk) -> None:
    for kind in TALKS:
        await kind(talk)
        talk.model.forget()
    talk.model.does(answer("never"))
    await talk.visitor.say(f"{SAID} cannot be stored")
    talk.model.forget()


def content_of(log: Path | None) -> bytes:
    return log.read_bytes() if log else b""


def check(collector: Collector, log: Path | None = None) -> None:
    assert collector.everything
    places = {"export": collector.everything, "log": content_of(log)}
    for place, content in places.items():
        for secret in SECRETS:
            at = content.find(secret.encode())
            assert at < 0, f"in the {place}: {content[max(0, at - 400) : at + 100]!r}"


@pytest.mark.parametrize("tracing", ["false", "true"])
async def test_own_telemetry(
    own_settings: Settings, collector: Collector, log: Path, tracing: str
) -> None:
    async with (
        AsyncExitStack() as stack,
        exporting(own_settings, collector, log, TRACING=tracing) as talk,
    ):
        await talk_of_everything(talk)
        # One whose answer is interrupted when the server stops.
        await stack.enter_async_context(answering(talk))

    check(collector, log)
    assert {"turn", "model", "agent Assistant", "tool shout"} <= names_of(collector)
    assert "the tool stumble failed" in {record.body.string_value for record in collector.logs}


async def test_a_log_with_everything_is_not_exported(
    own_settings: Settings, collector: Collector, log: Path
) -> None:
    async with exporting(own_settings, collector, log, LOG_ERRORS="everything") as talk:
        await call_tools(talk)
        await be_refused_by_the_model(talk)

    check(collector)
    assert CALLED.encode() in content_of(log)
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
        while turns_in(collector) < 1_000:
            await talk_of_everything(talk)

    check(collector, log)


def turns_in(collector: Collector) -> int:
    return sum(span.name == "turn" for span in collector.spans)


def names_of(collector: Collector) -> set[str]:
    return {span.name for span in collector.spans}
