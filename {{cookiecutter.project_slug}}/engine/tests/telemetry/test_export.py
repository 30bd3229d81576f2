"""The traces, metrics and logs that an operator gets, at a real collector."""

import http.server
import json
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

pytest.importorskip("opentelemetry.instrumentation.sqlalchemy", reason="needs the extra telemetry")

from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk.trace import TracerProvider

from engine.database.database import TABLE_PREFIX
from engine.settings.settings import PROJECT_ROOT, Settings
from engine.tests.application import create_app
from engine.tests.fixtures import visiting
from engine.tests.model_server import answer, called, refuse_saying, respond
from engine.tests.talk import Visitor
from engine.tests.telemetry.collector import (
    Collector,
    attributes_of,
    collecting,
    points_of,
)
from engine.tests.telemetry.exporting import exporting
from engine.tests.telemetry.talks import stop_and_leave

ERROR = 2
MODEL = Settings.model_fields["model"].default
TRACE_ID = "0af7651916cd43dd8448eb211c80319c"


class Scene:
    """The turns of two users, and all that was exported about them."""

    def __init__(self, collector: Collector, log: Path) -> None:
        self.collector = collector
        self.log = log
        self.users: list[str] = []
        self.requests: dict[str, str] = {}

    def spans_of(self, user_id: str) -> list[Any]:
        """All spans of the traces in which the user's turns are."""
        turns = [s for s in self.collector.spans if attributes_of(s).get("user.id") == user_id]
        traces = {span.trace_id for span in turns}
        return [span for span in self.collector.spans if span.trace_id in traces]

    def total(self, name: str, **attributes: object) -> float:
        """The newest value of a counter, or the count of a histogram, with these attributes."""
        [*_, newest] = [m for m in self.collector.metrics if m.name == name]
        return sum(
            point.count if newest.WhichOneof("data") == "histogram" else value_of(point)
            for point in points_of(newest)
            if attributes.items() <= attributes_of(point).items()
        )


def value_of(point: Any) -> float:
    return float(getattr(point, point.WhichOneof("value")))


@pytest_asyncio.fixture(scope="module")
async def scene(
    settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    log = tmp_path_factory.mktemp("telemetry") / "log"
    with collecting() as collector:
        scene = Scene(collector, log)
        async with exporting(settings, collector, log, LOG_FORMAT="json") as talk:
            async with visiting(str(talk.visitor.client.base_url), settings) as other:
                scene.users = [talk.visitor.user_id, other.user_id]
                text = json.dumps({"text": "loud"})
                talk.model.does(
                    respond(called("shout", text), called("stumble", text, "call_2")),
                    answer("Done."),
                )
                await talk.visitor.say("hello")
                talk.model.does(refuse_saying(400, "no", "invalid_prompt"))
                await ask(other, scene, "refused")
            await stop_and_leave(talk)
            await talk.visitor.send("threads.get_by_id", thread_id="none")
            await talk.visitor.client.get("/readyz")
        yield scene


async def ask(visitor: Visitor, scene: Scene, text: str) -> None:
    """In a trace of the client's own."""
    headers = {
        "traceparent": f"00-{TRACE_ID}-b7ad6b7169203331-01",
        "X-Request-ID": "the-request",
    }
    visitor.client.headers.update(headers)
    await visitor.say(text)


def names_below(spans: list[Any], parent: Any) -> set[str]:
    return {span.name for span in spans if span.parent_span_id == parent.span_id}


def one_named(spans: list[Any], name: str) -> Any:
    [found] = [span for span in spans if span.name == name]
    return found


def first_turn(scene: Scene) -> list[Any]:
    """The spans of the first user's first turn."""
    spans = scene.spans_of(scene.users[0])
    first = one_named(spans, "tool stumble").trace_id
    return [span for span in spans if span.trace_id == first]


def test_a_turn_is_a_tree_of_spans(scene: Scene) -> None:
    spans = first_turn(scene)

    request, turn = one_named(spans, "POST /chatkit"), one_named(spans, "turn")
    agent = one_named(spans, "agent Assistant")
    assert "turn" in names_below(spans, request)
    assert {"model", "agent Assistant"} <= names_below(spans, turn)
    assert names_below(spans, agent) == {"tool shout", "tool stumble"}
    assert sum(span.name == "model" for span in spans) == 2
    assert one_named(spans, "tool stumble").status.code == ERROR
    assert turn.status.code != ERROR


def test_a_turn_has_ids_and_numbers(scene: Scene) -> None:
    attributes = attributes_of(one_named(first_turn(scene), "turn"))

    assert attributes["user.id"] == scene.users[0]
    assert attributes["chat.run_id"].startswith("run_")
    assert attributes["chat.request"] == "threads.create"
    assert attributes["chat.status"] == "done"
    # Of two calls for the answer and one for the title.
    assert attributes["gen_ai.usage.input_tokens"] == 30
    assert attributes["gen_ai.usage.output_tokens"] == 15


def test_statements_are_traced_by_their_tables(scene: Scene) -> None:
    spans = first_turn(scene)
    found = {
        (span.name, attributes_of(span).get("db.collection.name")): attributes_of(span)
        for span in spans
    }

    tables = {name for _, names in found if names for name in names.split()}
    assert {f"{TABLE_PREFIX}threads", f"{TABLE_PREFIX}thread_items"} <= tables
    assert {"SELECT", "WITH"} <= {name for name, tables in found if tables}
    for attributes in found.values():
        assert not {"db.statement", "db.query.text"} & attributes.keys()


def test_a_failed_turn_has_its_reason_in_the_clients_trace(scene: Scene) -> None:
    spans = scene.spans_of(scene.users[1])

    assert {span.trace_id.hex() for span in spans} == {TRACE_ID}
    turn, model = one_named(spans, "turn"), one_named(spans, "model")
    assert attributes_of(turn)["chat.reason"] == "policy"
    assert attributes_of(turn)["chat.request_id"] == "the-request"
    assert attributes_of(model)["chat.reason"] == "policy"
    assert turn.status.code == model.status.code == ERROR
    assert turn.status.message == ""


def test_probes_are_not_traced(scene: Scene) -> None:
    routes = {attributes_of(span).get("http.route") for span in scene.collector.spans}

    assert "/chatkit" in routes
    assert not {"/readyz", "/healthz"} & routes


@pytest.mark.parametrize(
    ("name", "attributes", "expected"),
    [
        ("chat.first_word", {}, 3),
        ("chat.answer.duration", {"status": "done"}, 2),
        ("chat.answer.duration", {"status": "stopped"}, 1),
        ("chat.answer.duration", {"status": "failed"}, 1),
        ("chat.answers.open", {}, 0),
        ("chat.failures", {"reason": "policy"}, 1),
        ("chat.refusals", {"code": "not_found"}, 1),
        ("chat.tool.failures", {"tool": "stumble"}, 1),
        ("db.client.connection.pending_requests", {}, 0),
        ("db.client.connections.usage", {"state": "used"}, 0),
        (
            "http.server.request.duration",
            {"http.route": "/chatkit", "http.response.status_code": 404},
            1,
        ),
    ],
)
def test_a_metric(scene: Scene, name: str, attributes: dict[str, object], expected: int) -> None:
    assert scene.total(name, **attributes) == expected


@pytest.mark.parametrize(
    ("name", "attributes", "least"),
    [
        ("chat.tokens", {"type": "input", "model": MODEL}, 30),
        ("chat.tokens", {"type": "output", "model": MODEL}, 15),
        ("db.client.connection.wait_time", {}, 10),
    ],
)
def test_a_sum(scene: Scene, name: str, attributes: dict[str, object], least: int) -> None:
    assert scene.total(name, **attributes) >= least


def test_records_of_the_log_have_ids_and_a_trace(scene: Scene) -> None:
    turn = one_named(scene.spans_of(scene.users[1]), "turn")
    records = [r for r in scene.collector.logs if r.body.string_value == "a run failed"]
    [record] = [r for r in records if r.trace_id.hex() == TRACE_ID]
    attributes = attributes_of(record)

    assert record.severity_text == "ERROR"
    assert record.span_id == turn.span_id
    assert attributes["user.id"] == scene.users[1]
    assert attributes["chat.request_id"] == "the-request"
    assert attributes["chat.run_id"] == attributes_of(turn)["chat.run_id"]
    assert "openai.BadRequestError (400, code invalid_prompt" in attributes["chat.traceback"]


def test_the_same_records_are_in_the_log_as_json(scene: Scene) -> None:
    lines = [json.loads(line) for line in scene.log.read_text("utf-8").splitlines()]

    [failed] = [line for line in lines if line["message"] == "a run failed"]
    assert (failed["level"], failed["logger"]) == ("ERROR", "engine.turn.turn")
    assert (failed["request_id"], failed["user_id"]) == ("the-request", scene.users[1])
    assert failed["run_id"].startswith("run_")
    assert "openai.BadRequestError (400, code invalid_prompt" in failed["exception"]
    [tool] = [line for line in lines if line["message"] == "the tool stumble failed"]
    assert tool["user_id"] == scene.users[0]


def test_a_name_of_the_service_is_exported(scene: Scene, settings: Settings) -> None:
    name = create_app(settings).state.chat.settings.application_name

    assert name.encode() in scene.collector.everything


def test_the_dashboard_shows_what_is_exported(scene: Scene) -> None:
    exported = {name for metric in scene.collector.metrics for name in prometheus_names(metric)}
    dashboard = json.loads((PROJECT_ROOT / "docs" / "dashboard.json").read_text("utf-8"))
    shown = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in re.findall(r"\b(?:chat|db|http)_\w+(?=\{)", target["expr"])
    }

    assert shown - exported == {"chat_answers_abandoned_total"}  # nothing died here
    ours = {name for name in exported if name.startswith("chat_") and not name.endswith("_sum")}
    counts = {name.removesuffix("_bucket").removesuffix("_count") for name in shown}
    assert {name.removesuffix("_bucket").removesuffix("_count") for name in ours} <= counts


UNITS = {"s": "_seconds", "connections": "_connections"}


def prometheus_names(metric: Any) -> list[str]:
    """The names of the series that Prometheus makes of a metric."""
    name = metric.name.replace(".", "_") + UNITS.get(metric.unit, "")
    match metric.WhichOneof("data"):
        case "histogram":
            return [f"{name}_bucket", f"{name}_count", f"{name}_sum"]
        case "sum" if metric.sum.is_monotonic:
            return [f"{name}_total"]
    return [name]


@contextmanager
def hanging() -> Iterator[str]:
    """A collector that takes connections and never answers."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            ended.wait()

        def log_message(self, *_args: object) -> None:
            """Not into the output of the tests."""

    ended = threading.Event()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        ended.set()
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_collector_that_hangs_delays_neither_answers_nor_the_end(
    settings: Settings, tmp_path: Path
) -> None:
    with hanging() as url:
        changes = {"OTEL_EXPORTER_OTLP_TIMEOUT": "300"}
        async with exporting(settings, Collector(url), tmp_path / "log", **changes) as talk:
            turn = await talk.say(answer("Still here."))
            began = time.monotonic()

    assert turn.answer == "Still here."
    assert time.monotonic() - began < 120  # one export alone would take 300 seconds


def test_the_private_names_of_the_sdk_are_there() -> None:
    """Without them, what others export could not be redacted (`export._redact`)."""
    traces, logs = TracerProvider(shutdown_on_exit=False), LoggerProvider(shutdown_on_exit=False)

    assert traces._active_span_processor._span_processors == ()
    assert logs._multi_log_record_processor._log_record_processors == ()
