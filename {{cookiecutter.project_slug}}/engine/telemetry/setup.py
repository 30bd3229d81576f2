"""Exports telemetry while the application runs, if a collector is set or somebody else exports."""

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path

from agents import set_trace_processors
from agents.tracing import TracingProcessor
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.sdk_internals import trace_processors
from engine.settings.env_values import add_to_environment
from engine.settings.settings import EnvSettings, Settings
from engine.telemetry.agent_spans import AgentSpans, ErrorsWithoutData
from engine.telemetry.redaction import Redaction

SDK = "opentelemetry.sdk"
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"

logger = logging.getLogger(__name__)


@asynccontextmanager
async def exporting(
    settings: Settings, engine: AsyncEngine, tables: Iterable[str]
) -> AsyncIterator[None]:
    """Export until the end of the block. Without an endpoint, what others export is redacted."""
    endpoint = settings.otel_exporter_otlp_endpoint
    if settings.tracing:
        _trace_agents(settings)
    if endpoint and find_spec("opentelemetry.instrumentation.sqlalchemy") is None:
        logger.warning(
            "%s is set, and the packages that export are not installed. Run: python3 -m app setup "
            "(or: uv sync --inexact --extra telemetry; in an image: the build argument "
            "EXTRA=telemetry)",
            ENDPOINT,
        )
        endpoint = None
    if not endpoint and SDK not in sys.modules:
        yield
        return

    # Only now: these need the SDK, which is an extra.
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

    from engine.telemetry.export import Export

    if endpoint:
        _set_environment(endpoint)
    export = Export(settings.application_name, Redaction(tables))
    export.start(adds_exporters=bool(endpoint))
    _trace_agents(settings, AgentSpans())
    statements = SQLAlchemyInstrumentor()
    traces_statements = not statements.is_instrumented_by_opentelemetry
    if traces_statements:
        # It names SQLAlchemy 2.0 as the newest that it knows; a test shows that it works with ours.
        statements.instrument(engine=engine.sync_engine, skip_dep_check=True)
    try:
        yield
    finally:
        if traces_statements:
            statements.uninstrument()
        await asyncio.to_thread(export.stop)


def _set_environment(endpoint: str) -> None:
    """Set what the exporters read from the environment, and `.env` may have."""
    if env_file := EnvSettings.model_config.get("env_file"):
        add_to_environment(Path(str(env_file)), prefix="OTEL_")
    os.environ.setdefault(ENDPOINT, endpoint)


def _trace_agents(settings: Settings, *ours: TracingProcessor) -> None:
    """Without TRACING, only ours get the SDK's traces: its own processor sends them to OpenAI."""
    theirs = trace_processors() if settings.tracing else []
    others = [one for one in theirs if not isinstance(one, ErrorsWithoutData | AgentSpans)]
    set_trace_processors([ErrorsWithoutData(), *ours, *others])
