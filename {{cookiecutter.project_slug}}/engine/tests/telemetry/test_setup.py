"""Telemetry costs nothing where it is not in use."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
from agents import RunConfig

from engine.settings.env_values import add_to_environment
from engine.settings.settings import PROJECT_ROOT, Settings
from engine.telemetry import setup
from engine.tests.application import create_app
from engine.tests.fixtures import LogLines, serving, visiting
from engine.turn import turn as turn_module

BUILD = """
import sys
from engine.settings.settings import Settings
from engine.tests.application import create_app
create_app(Settings(database_url="postgresql://localhost/none"))
found = [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exp"))]
assert not found, found
"""


def test_nothing_of_the_sdk_is_imported_without_an_endpoint() -> None:
    done = subprocess.run(
        [sys.executable, "-c", BUILD], cwd=PROJECT_ROOT, capture_output=True, encoding="utf-8"
    )

    assert done.returncode == 0, done.stderr


async def test_without_an_endpoint_the_sdks_traces_are_off(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured: list[RunConfig] = []

    def kept(**options: object) -> RunConfig:
        configured.append(RunConfig(**options))  # type: ignore[arg-type]
        return configured[-1]

    monkeypatch.setattr(turn_module, "RunConfig", kept)
    async with serving(create_app(settings)) as url, visiting(url, settings) as visitor:
        await visitor.say("hello")

    assert [one.tracing_disabled for one in configured] == [True]
    assert [one.trace_include_sensitive_data for one in configured] == [False]


async def test_an_endpoint_without_the_packages_is_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "find_spec", lambda _name: None)
    monkeypatch.setattr(setup, "SDK", "no.such.module")
    changed = settings.model_copy(update={"otel_exporter_otlp_endpoint": "http://127.0.0.1:1"})
    kept, logger = LogLines(), logging.getLogger(setup.__name__)
    app = create_app(changed)
    logger.addHandler(kept)
    async with serving(app) as url, visiting(url, changed) as visitor:
        turn = await visitor.say("hello")
    logger.removeHandler(kept)

    assert turn.answer
    [line] = kept.lines
    assert "uv sync --inexact --extra telemetry" in line


def test_the_exporters_get_their_settings_from_the_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = tmp_path / ".env"
    env.write_text("OTEL_A=file\nOTEL_B=file\nOPENAI_API_KEY=secret\n", "utf-8")
    environment = {"OTEL_B": "process"}
    monkeypatch.setattr("engine.settings.env_values.os.environ", environment)

    add_to_environment(env, prefix="OTEL_")

    assert environment == {"OTEL_A": "file", "OTEL_B": "process"}
