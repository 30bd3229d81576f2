"""Spans for the Agents SDK's traces: agents, tool calls, hand-offs and guardrails.

They have names, durations and failures. Inputs, outputs and messages of errors are left out: the SDK
puts error messages of tools into its own spans, whatever `trace_include_sensitive_data` says.
"""

import re
from typing import Any

from agents.tracing import (
    AgentSpanData,
    FunctionSpanData,
    GuardrailSpanData,
    HandoffSpanData,
    Span,
    Trace,
    TracingProcessor,
)
from opentelemetry import trace as otel
from opentelemetry.trace import StatusCode

from engine.telemetry.measures import tracer

# A name that a program has. (A server of tools, or a model, may give another.)
NAME = re.compile(r"[\w.:-]{1,64}", re.ASCII)


class AgentSpans(TracingProcessor):
    """The spans of an SDK trace begin below the span that is current when they begin."""

    def __init__(self) -> None:
        self._open: dict[str, dict[str, otel.Span]] = {}

    def on_trace_start(self, trace: Trace) -> None:
        self._open[trace.trace_id] = {}

    def on_trace_end(self, trace: Trace) -> None:
        for span in set(self._open.pop(trace.trace_id, {}).values()):
            span.end()

    def on_span_start(self, span: Span[Any]) -> None:
        opened = self._open.get(span.trace_id)
        if opened is None:
            return
        parent = opened.get(span.parent_id or "")
        if (name := _name(span.span_data)) is not None:
            context = otel.set_span_in_context(parent) if parent is not None else None
            opened[span.span_id] = tracer.start_span(name, context)
        elif parent is not None:
            opened[span.span_id] = parent  # what is below it belongs there

    def on_span_end(self, span: Span[Any]) -> None:
        ended = self._open.get(span.trace_id, {}).pop(span.span_id, None)
        if ended is not None and _name(span.span_data) is not None:
            if span.error is not None:
                ended.set_status(StatusCode.ERROR)
            ended.end()

    def shutdown(self) -> None:
        self._open.clear()

    def force_flush(self) -> None:
        """Spans are ended one by one, and nothing is kept."""


class ErrorsWithoutData(TracingProcessor):
    """Removes from the SDK's spans what its errors quote, such as a tool's name that a model made
    up. The processors after it get the spans like that.
    """

    def on_trace_start(self, trace: Trace) -> None:
        """A trace has the application's names."""

    def on_trace_end(self, trace: Trace) -> None:
        """A trace has the application's names."""

    def on_span_start(self, span: Span[Any]) -> None:
        """Errors are known at the end."""

    def on_span_end(self, span: Span[Any]) -> None:
        if span.error is not None:
            span.set_error({"message": span.error["message"], "data": None})

    def shutdown(self) -> None:
        """Nothing is open."""

    def force_flush(self) -> None:
        """Nothing waits."""


def _name(data: Any) -> str | None:
    match data:
        case AgentSpanData():
            return f"agent {_program_name(data.name)}"
        case FunctionSpanData():
            return f"tool {_program_name(data.name)}"
        case HandoffSpanData():
            return f"handoff {_program_name(data.to_agent or '')}".rstrip()
        case GuardrailSpanData():
            return f"guardrail {_program_name(data.name)}"
    return None


def _program_name(name: str) -> str:
    joined = name.replace(" ", "_")
    return joined if NAME.fullmatch(joined) else ""
