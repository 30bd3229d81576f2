"""The application's metrics and the tracer of its spans, through OpenTelemetry's API.

The API comes with FastAPI. Until its SDK is set up, recording does nothing. docs/operate.md lists the
metrics, and `docs/dashboard.json` shows them.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import metrics, trace

SECONDS = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0]
SHORT = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0]

tracer = trace.get_tracer("engine")

_meter = metrics.get_meter("engine")

first_word = _meter.create_histogram(
    "chat.first_word",
    unit="s",
    description="From the request to the first word of its answer",
    explicit_bucket_boundaries_advisory=SECONDS,
)
answer_duration = _meter.create_histogram(
    "chat.answer.duration",
    unit="s",
    description="Answers by status: done, stopped, failed, interrupted",
    explicit_bucket_boundaries_advisory=SECONDS,
)
open_answers = _meter.create_up_down_counter(
    "chat.answers.open", unit="{answer}", description="Answers that are being written"
)
abandoned_answers = _meter.create_counter(
    "chat.answers.abandoned",
    unit="{answer}",
    description="Answers of processes that died, which another process has closed",
)
failures = _meter.create_counter(
    "chat.failures", unit="{answer}", description="Failed answers by reason"
)
refusals = _meter.create_counter(
    "chat.refusals", unit="{request}", description="Refused requests by error code"
)
tokens = _meter.create_counter(
    "chat.tokens", unit="{token}", description="Tokens by model and type: input, output"
)
tool_failures = _meter.create_counter(
    "chat.tool.failures", unit="{call}", description="Failed tool calls by tool"
)
connection_wait = _meter.create_histogram(
    "db.client.connection.wait_time",
    unit="s",
    description="How long a statement waited for a connection",
    explicit_bucket_boundaries_advisory=SHORT,
)
connection_queue = _meter.create_up_down_counter(
    "db.client.connection.pending_requests",
    unit="{request}",
    description="Statements that wait for a connection",
)


@contextmanager
def waiting_for_connection() -> Iterator[None]:
    began = time.perf_counter()
    connection_queue.add(1)
    try:
        yield
    finally:
        connection_queue.add(-1)
        connection_wait.record(time.perf_counter() - began)


def is_traced() -> bool:
    """True if spans of the current request or run are recorded."""
    return trace.get_current_span().is_recording()
