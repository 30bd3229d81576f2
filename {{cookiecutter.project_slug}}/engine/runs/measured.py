"""The span of a run, and its metrics."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry.trace import StatusCode

from engine.context.run import Run
from engine.telemetry.ids import current_request_id, current_run_id
from engine.telemetry.measures import answer_duration, open_answers, tokens, tracer


@contextmanager
def measured(run: Run) -> Iterator[None]:
    """For a task of its own: the run's id is that of all that the task logs."""
    current_run_id.set(run.id)
    open_answers.add(1)
    with tracer.start_as_current_span(
        "turn",
        attributes={
            "chat.run_id": run.id,
            "chat.request_id": current_request_id.get(),
            "chat.request": run.request,
            "user.id": run.user_id,
            "gen_ai.request.model": run.model,
        },
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        finally:
            open_answers.add(-1)
            _count(run)
            span.set_attribute("chat.status", run.status)
            span.set_attribute("gen_ai.usage.input_tokens", run.used.tokens_in)
            span.set_attribute("gen_ai.usage.output_tokens", run.used.tokens_out)
            if run.status == "failed":
                span.set_status(StatusCode.ERROR)


def _count(run: Run) -> None:
    seconds = time.perf_counter() - run.began
    answer_duration.record(seconds, {"status": run.status, "model": run.model})
    tokens.add(run.used.tokens_in, {"type": "input", "model": run.model})
    tokens.add(run.used.tokens_out, {"type": "output", "model": run.model})
