"""Exports traces, metrics and logs with OpenTelemetry's SDK. Imported only where that is in use.

Spans and log records pass `Redaction` on the way to every exporter: to those that are set up here, and
to those of whoever instruments the application from outside (`opentelemetry-instrument`).
"""

import logging
import os
import threading
from collections.abc import Callable
from typing import Any

from opentelemetry import _logs, metrics, trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk._logs import LoggerProvider, LogRecordProcessor, ReadWriteLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Status

from engine.telemetry.ids import current_ids
from engine.telemetry.log_records import redacted
from engine.telemetry.redaction import TRACEBACK, Redaction, span_name

FLUSH_SECONDS = 3.0
# The application's loggers, whose records do not reach the root, where those of libraries are.
LOGGERS = ("app", "engine")
ROOT = ""
SEVERITIES = {
    "DEBUG": SeverityNumber.DEBUG,
    "INFO": SeverityNumber.INFO,
    "WARNING": SeverityNumber.WARN,
    "ERROR": SeverityNumber.ERROR,
    "CRITICAL": SeverityNumber.FATAL,
}

logger = logging.getLogger(__name__)


class RedactedSpans(SpanProcessor):
    """Passes redacted copies of spans on to another processor."""

    def __init__(self, inner: SpanProcessor, redaction: Redaction) -> None:
        self._inner = inner
        self._redaction = redaction

    def on_start(self, span: Span, parent_context: Any = None) -> None:
        self._inner.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        self._inner.on_end(self._redacted(span))

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)

    def _redacted(self, span: ReadableSpan) -> ReadableSpan:
        scope = span.instrumentation_scope
        attributes = self._redaction.attributes(span.attributes)
        return ReadableSpan(
            name=span_name(span.name, scope.name if scope else "", attributes),
            context=span.get_span_context(),
            parent=span.parent,
            resource=span.resource,
            attributes=attributes,
            events=[
                Event(event.name, self._redaction.attributes(event.attributes), event.timestamp)
                for event in span.events
                if event.name == "exception"
            ],
            kind=span.kind,
            # Its description is often an exception's message.
            status=Status(span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=scope,
        )


class RedactedLogs(LogRecordProcessor):
    """Passes redacted copies of log records on to another processor."""

    def __init__(self, inner: LogRecordProcessor, redaction: Redaction) -> None:
        self._inner = inner
        self._redaction = redaction

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        given = log_record.log_record
        changed = LogRecord(
            timestamp=given.timestamp,
            observed_timestamp=given.observed_timestamp,
            context=given.context,
            severity_text=given.severity_text,
            severity_number=given.severity_number,
            # An event's body may be a prompt; a line of the log is text, and has no such name.
            body=given.body if isinstance(given.body, str) and not given.event_name else None,
            attributes=self._redaction.attributes(given.attributes),
            event_name=given.event_name,
        )
        self._inner.on_emit(
            ReadWriteLogRecord(
                changed, log_record.resource, log_record.instrumentation_scope, log_record.limits
            )
        )

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)


class LogHandler(logging.Handler):
    """Hands records of Python's logging to OpenTelemetry, with reasons instead of messages of
    exceptions, whatever LOG_ERRORS says.
    """

    def __init__(self, provider: _logs.LoggerProvider) -> None:
        super().__init__()
        self._provider = provider

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("opentelemetry"):
            return  # about the export itself, which would never end
        record = redacted(record)
        ids = {f"chat.{name}": value for name, value in current_ids().items()}
        attributes = {name.replace("chat.user_id", "user.id"): value for name, value in ids.items()}
        if record.exc_text:
            attributes[TRACEBACK] = record.exc_text
        self._provider.get_logger(record.name).emit(
            LogRecord(
                timestamp=int(record.created * 1e9),
                severity_text=record.levelname,
                severity_number=SEVERITIES.get(record.levelname),
                body=record.getMessage(),
                attributes=attributes,
            )
        )


class Export:
    """The providers of this process: those that are there, or new ones with an OTLP exporter."""

    def __init__(self, service_name: str, redaction: Redaction) -> None:
        self._redaction = redaction
        self._resource = Resource.create(_service(service_name))
        self._handlers: list[tuple[logging.Logger, LogHandler]] = []
        self._flushes: list[Callable[[int], object]] = []

    def start(self, *, adds_exporters: bool) -> None:
        """Set up the exporters that are missing, if they are wanted, and redact all there are."""
        if adds_exporters:
            self._add_traces()
            self._add_metrics()
            self._add_logs()
        redact_traces(trace.get_tracer_provider(), self._redaction)
        redact_logs(_logs.get_logger_provider(), self._redaction)
        if isinstance(_logs.get_logger_provider(), LoggerProvider):
            self._export_records_of(*LOGGERS)

    def stop(self) -> None:
        """Export what is left, for at most `FLUSH_SECONDS`: a collector may be down."""
        for owner, handler in self._handlers:
            owner.removeHandler(handler)
        thread = threading.Thread(target=self._flush, daemon=True)
        thread.start()
        thread.join(FLUSH_SECONDS)

    def _flush(self) -> None:
        for flush in self._flushes:
            flush(int(FLUSH_SECONDS * 1000))

    def _add_traces(self) -> None:
        if not _is_wanted("TRACES") or isinstance(trace.get_tracer_provider(), TracerProvider):
            return
        provider = TracerProvider(resource=self._resource, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        trace.set_tracer_provider(provider)
        self._flushes.append(provider.force_flush)

    def _add_metrics(self) -> None:
        if not _is_wanted("METRICS") or isinstance(metrics.get_meter_provider(), MeterProvider):
            return
        reader = PeriodicExportingMetricReader(OTLPMetricExporter())
        provider = MeterProvider([reader], resource=self._resource, shutdown_on_exit=False)
        metrics.set_meter_provider(provider)
        self._flushes.append(provider.force_flush)

    def _add_logs(self) -> None:
        if not _is_wanted("LOGS") or isinstance(_logs.get_logger_provider(), LoggerProvider):
            return
        provider = LoggerProvider(resource=self._resource, shutdown_on_exit=False)
        provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        _logs.set_logger_provider(provider)
        self._flushes.append(provider.force_flush)
        self._export_records_of(ROOT)

    def _export_records_of(self, *names: str) -> None:
        for owner in map(logging.getLogger, names):
            handler = LogHandler(_logs.get_logger_provider())
            owner.addHandler(handler)
            self._handlers.append((owner, handler))


def redact_traces(provider: Any, redaction: Redaction) -> None:
    """Put `RedactedSpans` before each span processor of this provider."""
    _redact(provider, ("_active_span_processor", "_span_processors"), RedactedSpans, redaction)


def redact_logs(provider: Any, redaction: Redaction) -> None:
    """Put `RedactedLogs` before each log record processor of this provider."""
    names = ("_multi_log_record_processor", "_log_record_processors")
    _redact(provider, names, RedactedLogs, redaction)


def _redact(
    provider: Any, names: tuple[str, str], wrapper: Callable[..., Any], redaction: Redaction
) -> None:
    """The SDK has no public way to change what another processor gets; a test holds these names."""
    shared = getattr(provider, names[0], None)
    processors = getattr(shared, names[1], None)
    if processors is None:
        if hasattr(provider, "shutdown"):  # not the API's own, which exports nothing
            logger.error(
                "%s exports telemetry that is not redacted: it may contain what people said. "
                "Use OpenTelemetry's SDK, or end that export.",
                type(provider).__qualname__,
            )
        return
    wrapped = [p if isinstance(p, _REDACTED) else wrapper(p, redaction) for p in processors]
    setattr(shared, names[1], tuple(wrapped))


_REDACTED = (RedactedSpans, RedactedLogs)


def _is_wanted(signal: str) -> bool:
    return os.environ.get(f"OTEL_{signal}_EXPORTER", "").strip().lower() != "none"


def _service(name: str) -> dict[str, str]:
    """The service's name, unless the environment gives another."""
    attributes = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    is_given = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in attributes
    return {} if is_given else {"service.name": name}
