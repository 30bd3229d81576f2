"""Texts that libraries put into spans and log records are removed before every exporter."""

from typing import Any

import pytest

pytest.importorskip("opentelemetry.instrumentation.sqlalchemy", reason="needs the extra telemetry")

from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Status, StatusCode

from engine.telemetry.export import redact_logs, redact_traces
from engine.telemetry.redaction import Redaction

SAID = "mulberry7731"
REDACTION = Redaction(["chat_threads"])


class Keeper:
    def __init__(self) -> None:
        self.records: list[Any] = []

    def on_emit(self, log_record: Any) -> None:
        self.records.append(log_record.log_record)


def test_a_log_record() -> None:
    provider = LoggerProvider(shutdown_on_exit=False)
    keeper: Any = Keeper()  # is no processor for a type checker that knows the extra
    provider.add_log_record_processor(keeper)
    redact_logs(provider, REDACTION)
    logger = provider.get_logger("lib")

    logger.emit(LogRecord(body="a line", attributes={"exception.message": SAID, "count": 3}))
    logger.emit(LogRecord(body=SAID, event_name="gen_ai.choice"))
    logger.emit(LogRecord(body={"content": SAID}))

    assert [record.body for record in keeper.records] == ["a line", None, None]
    assert [dict(record.attributes) for record in keeper.records] == [{"count": 3}, {}, {}]


def test_a_span() -> None:
    provider, kept = TracerProvider(shutdown_on_exit=False), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    redact_traces(provider, REDACTION)
    with provider.get_tracer("lib").start_as_current_span(f"GET /{SAID}") as span:
        span.set_attributes({"url.path": SAID, "db.statement": f"of {SAID} in chat_threads"})
        span.add_event("gen_ai.content.prompt", {"gen_ai.prompt": SAID})
        span.record_exception(ValueError(SAID))
        span.set_status(Status(StatusCode.ERROR, SAID))

    [exported] = kept.get_finished_spans()
    assert exported.name == "GET"
    assert dict(exported.attributes or {}) == {"db.collection.name": "chat_threads"}
    assert exported.status.description is None
    assert [(e.name, dict(e.attributes or {})) for e in exported.events] == [
        ("exception", {"exception.type": "ValueError"})
    ]
