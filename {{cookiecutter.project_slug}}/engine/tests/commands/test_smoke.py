"""The smoke test itself must notice what is broken, or its "ok" says nothing."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import ClassVar

import pytest

from engine.operate.smoke import SmokeFailure, check_order, smoke

Event = dict[str, object]


def item(kind: str, event: str, **fields: object) -> Event:
    return {"type": f"thread.item.{event}", "item": {"type": kind, "id": "x", **fields}}


def update(kind: str, **fields: object) -> Event:
    return {"type": "thread.item.updated", "update": {"type": kind, **fields}}


def turn() -> list[Event]:
    """A whole turn in the specified order."""
    analyzing = {"title": "Analyzing request", "status_indicator": "loading"}
    return [
        {"type": "thread.created", "thread": {"id": "t"}},
        item("user_message", "done"),
        {"type": "stream_options"},
        item("workflow", "added", workflow={"tasks": [analyzing]}),
        update("workflow.task.updated", task_index=0, task={"status_indicator": "complete"}),
        update("workflow.task.added", task_index=1, task={"status_indicator": "loading"}),
        update("workflow.task.updated", task_index=1, task={"status_indicator": "complete"}),
        item("workflow", "done", workflow={"expanded": False, "summary": {"duration": 0}}),
        item("assistant_message", "added"),
        update("assistant_message.content_part.text_delta", delta="Hel"),
        update("assistant_message.content_part.text_delta", delta="lo"),
        item("assistant_message", "done"),
    ]


def test_specified_order() -> None:
    check_order(turn(), must_call_tool=True)


@pytest.mark.parametrize("missing", [0, 1, 3, 5, 6, 7, 8, 11])
def test_missing_event(missing: int) -> None:
    events = turn()
    del events[missing]
    with pytest.raises(SmokeFailure):
        check_order(events, must_call_tool=True)


@pytest.mark.parametrize(("one", "other"), [(1, 3), (5, 6), (6, 7), (7, 8), (9, 11)])
def test_wrong_order(one: int, other: int) -> None:
    events = turn()
    events.insert(one, events.pop(other))
    with pytest.raises(SmokeFailure):
        check_order(events, must_call_tool=True)


def test_nothing_streamed_but_the_end() -> None:
    events = [event for event in turn() if "text_delta" not in json.dumps(event)]
    with pytest.raises(SmokeFailure, match="answer streamed"):
        check_order(events, must_call_tool=True)


def test_workflow_that_stays_open() -> None:
    events = turn()
    events[7] = item("workflow", "done", workflow={"expanded": True, "summary": {"duration": 0}})
    with pytest.raises(SmokeFailure):
        check_order(events, must_call_tool=True)


def test_tool_is_needed_only_where_there_is_one() -> None:
    events = [event for event in turn() if '"task_index": 1' not in json.dumps(event)]
    check_order(events, must_call_tool=False)
    with pytest.raises(SmokeFailure):
        check_order(events, must_call_tool=True)


def test_error_in_the_stream_is_quoted() -> None:
    error = {"type": "error", "message": "The model is not there."}
    with pytest.raises(SmokeFailure, match=r"The model is not there\."):
        check_order([*turn()[:4], error], must_call_tool=False)


class Careless(BaseHTTPRequestHandler):
    """An instance that lets anybody in."""

    script: ClassVar = "https://cdn.platform.openai.com/deployments/chatkit/chatkit.js"
    config: ClassVar = {"auth": "bearer", "tools": [], "prompts": [], "demo": True}

    def do_GET(self) -> None:
        if self.path == "/":
            self._answer(f'<script src="{self.script}"></script><openai-chatkit>')
        else:
            self._answer(json.dumps({**self.config, "scriptUrl": self.script}))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer('{"data": []}')

    def _answer(self, body: str) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def careless() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Careless)
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_deployed_instance_that_lets_anybody_in(
    careless: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke(careless, [{"Authorization": "Bearer one"}, {"Authorization": "Bearer two"}]) == 1
    said = capsys.readouterr().out
    assert "ok    the page is served" in said
    assert (
        "FAILED: a request without credentials is refused: POST /chatkit: expected 401 or 403"
        in said
    )


def test_deployed_instance_needs_two_users(
    careless: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert smoke(careless, [{"Authorization": "Bearer one"}]) == 1
    assert "SMOKE_TOKENS" in capsys.readouterr().out


def test_instance_that_does_not_answer(capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke("http://127.0.0.1:9", []) == 1
    assert "FAILED: the server does not answer" in capsys.readouterr().out
