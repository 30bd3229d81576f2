"""The Agents SDK's own traces, which TRACING sends to OpenAI's dashboard, hold no texts."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from agents.tracing import Span, Trace, TracingProcessor, set_trace_processors

from engine.sdk_internals import trace_processors
from engine.settings.settings import Settings
from engine.telemetry import setup
from engine.telemetry.agent_spans import AgentSpans, ErrorsWithoutData
from engine.tests import application
from engine.tests.agent.echo import ECHO
from engine.tests.agent.fixtures import WithServer
from engine.tests.telemetry.served import STUMBLE
from engine.tests.telemetry.talks import (
    SECRETS,
    Talk,
    be_failed_by_the_model,
    be_refused_by_the_model,
    call_tools,
    say_and_rate,
    think,
)


class Keeper(TracingProcessor):
    """Keeps all that a processor can read of a span, and not only what OpenAI's exporter takes."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def on_trace_start(self, trace: Trace) -> None:
        self.told.append(json.dumps(trace.export(), default=str))

    def on_trace_end(self, trace: Trace) -> None:
        self.told.append(json.dumps(trace.export(), default=str))

    def on_span_start(self, span: Span[Any]) -> None:
        """Its data are complete at the end."""

    def on_span_end(self, span: Span[Any]) -> None:
        data = {name: getattr(span.span_data, name, None) for name in span.span_data.__slots__}
        self.told.append(f"{span.export()} {data} {span.error}")

    def shutdown(self) -> None:
        """Nothing is open."""

    def force_flush(self) -> None:
        """Nothing waits."""


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    keeper = Keeper()
    set_trace_processors([keeper])
    yield keeper
    set_trace_processors([])


@pytest.mark.parametrize("api", ["responses", "chat_completions"])
async def test_no_texts_are_in_them(
    with_server: WithServer, keeper: Keeper, monkeypatch: pytest.MonkeyPatch, api: str
) -> None:
    monkeypatch.setattr(application, "TOOLS", (ECHO, STUMBLE))
    visitor, model = await with_server(tracing=True, openai_api=api, model_retries=0)
    talk = Talk(visitor, model)
    kinds = [say_and_rate, be_refused_by_the_model, be_failed_by_the_model]
    for kind in [*kinds, *([call_tools, think] if api == "responses" else [])]:
        await kind(talk)
        model.forget()

    told = "\n".join(keeper.told)
    assert "agent" in told
    for secret in SECRETS:
        assert secret not in told, told[max(0, told.find(secret) - 400) :][:600]


@pytest.mark.parametrize("tracing", [False, True])
@pytest.mark.parametrize("times", [1, 2])
def test_only_tracing_lets_them_go_to_openai(
    settings: Settings, keeper: Keeper, tracing: bool, times: int
) -> None:
    """`keeper` stands for the processor that sends them there."""
    changed = settings.model_copy(update={"tracing": tracing})
    for _ in range(times):
        setup._trace_agents(changed, AgentSpans())

    first, *others = trace_processors()
    assert isinstance(first, ErrorsWithoutData)
    assert [type(one) for one in others] == ([AgentSpans, Keeper] if tracing else [AgentSpans])
