"""A generated project with a server of OpenAI's API, over HTTP, with both APIs.

The server is aimock with a recording proxy in front (`openai_api/`). Tests check the recorded requests and
the application's responses, and replace nothing in between.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import pytest
from conftest import (
    QUESTIONS,
    BakedProject,
    generate_with_our_environment,
    hook,
    npm_install,
)
from serving import START, Application

pytestmark = pytest.mark.slow

SECRET_KEY = "s" * 64

RESPONSES = "responses"
CHAT_COMPLETIONS = "chat_completions"

Json = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True)
class Model:
    """The server that replaces OpenAI's."""

    url: str

    def asked(self) -> list[Json]:
        """The requests of this test, each with its path, body, status and end."""
        requests: list[Json] = httpx2.get(f"{self.url}/journal").json()
        return requests

    def forget(self) -> None:
        httpx2.delete(f"{self.url}/journal")


@dataclass
class Turn:
    """The events of one streamed answer."""

    events: list[Json]

    @property
    def thread_id(self) -> str:
        return next(str(e["thread"]["id"]) for e in self.events if e["type"] == "thread.created")

    def items(self, state: str, item_type: str) -> list[Json]:
        kind = f"thread.item.{state}"
        items = [event["item"] for event in self.events if event["type"] == kind]
        return [item for item in items if item["type"] == item_type]

    @property
    def answers(self) -> list[str]:
        return [text_of(item) for item in self.items("done", "assistant_message")]

    @property
    def errors(self) -> list[Json]:
        return [event for event in self.events if event["type"] == "error"]

    @property
    def story(self) -> list[str]:
        """One line for each event, without consecutive repeats."""
        lines = [line_of(event) for event in self.events]
        return [line for line, before in zip(lines, [None, *lines], strict=False) if line != before]


@dataclass
class Visitor:
    """A browser that has opened the page."""

    application: Application
    client: httpx2.Client

    def config(self) -> Json:
        """Open the page, which sets the anonymous user's cookie."""
        config: Json = self.client.get(f"{self.application.url}/config.json").json()
        return config

    def say(self, text: str, thread_id: str | None = None, tool: str | None = None) -> Turn:
        return Turn(list(self.listen(text, thread_id, tool)))

    def listen(
        self, text: str, thread_id: str | None = None, tool: str | None = None
    ) -> Generator[Json, None, None]:
        """The events as they arrive; close it to disconnect."""
        message = {
            "content": [{"type": "input_text", "text": text}],
            "attachments": [],
            "inference_options": {"tool_choice": {"id": tool}} if tool else {},
        }
        body: Json = {"type": "threads.create", "params": {"input": message}}
        if thread_id is not None:
            body = {
                "type": "threads.add_user_message",
                "params": {"thread_id": thread_id, "input": message},
            }
        with self.client.stream("POST", f"{self.application.url}/chatkit", json=body) as response:
            assert response.status_code == 200, response.read()
            for line in response.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))

    def items(self, thread_id: str) -> list[Json]:
        params = {"thread_id": thread_id, "order": "asc", "limit": 100}
        body = {"type": "items.list", "params": params}
        response = self.client.post(f"{self.application.url}/chatkit", json=body)
        assert response.status_code == 200, response.text
        items: list[Json] = response.json()["data"]
        return items


@pytest.fixture(scope="session")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BakedProject]:
    project = generate_with_our_environment(
        template, tmp_path_factory.mktemp("openai"), agent_tools="all"
    )

    yield project

    project.run("python", "-m", "app", "db", "stop")


@pytest.fixture(scope="session")
def database_url(project: BakedProject) -> str:
    url = project.run("python", "-c", START).splitlines()[-1]
    project.run("python", "-m", "app", "migrate", DATABASE_URL=url, SECRET_KEY=SECRET_KEY)
    return url


@pytest.fixture(scope="session")
def openai_server() -> Iterator[str]:
    folder = npm_install("openai_api")
    node = shutil.which("node")
    assert node, "npm runs on it"
    with subprocess.Popen(
        [node, "server.cjs"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        assert url, "the model server did not start"
        yield url
        process.stdin.close()


@pytest.fixture
def model(openai_server: str) -> Model:
    model = Model(openai_server)
    model.forget()
    return model


@pytest.fixture(scope="module", params=[RESPONSES, CHAT_COMPLETIONS])
def api(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def application(
    api: str,
    project: BakedProject,
    database_url: str,
    openai_server: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Application]:
    environment = {
        "SECRET_KEY": SECRET_KEY,
        "DATABASE_URL": database_url,
        "OPENAI_API": api,
        "OPENAI_API_KEY": "sk-test",
        "OPENAI_BASE_URL": f"{openai_server}/v1",
    }
    application = Application(project, environment, tmp_path_factory.mktemp(api))
    application.start()

    yield application

    application.stop()


@pytest.fixture
def visitor(application: Application) -> Iterator[Visitor]:
    with httpx2.Client(timeout=60) as client:
        visitor = Visitor(application, client)
        visitor.config()
        yield visitor


def test_a_tool_call_streams_in_the_specified_order(visitor: Visitor, model: Model) -> None:
    turn = visitor.say("Remember that our launch is on Friday")

    # Only the Responses API reports the end of a part, so its position is not checked.
    story = [line for line in turn.story if line != "assistant_message.content_part.done"]
    assert story == [
        "thread.created",
        "user_message done",
        "stream_options",
        "workflow added: Analyzing request",
        "thread.updated",
        "workflow.task.updated: Analyzing request (complete)",
        "workflow.task.added: Saving a note (loading)",
        "workflow.task.updated: Saving a note (complete)",
        "workflow done",
        "assistant_message added",
        "assistant_message.content_part.added",
        "assistant_message.content_part.text_delta",
        "assistant_message done",
    ]
    assert turn.answers == ["I have saved that the launch is on Friday."]
    assert [request["status"] for request in model.asked()] == [200, 200]
    assert visitor.items(turn.thread_id)[-1] == turn.items("done", "assistant_message")[0]


def test_every_answer_has_a_unique_id(visitor: Visitor, model: Model) -> None:
    """On Chat Completions the SDK gives every message the same id."""
    first = visitor.say("Say it before and after")
    second = visitor.say("Say it before and after", first.thread_id)

    said = ["First I look at your notes.", "And now I have looked at them."]
    assert first.answers == second.answers == said
    stored = [i for i in visitor.items(first.thread_id) if i["type"] == "assistant_message"]
    assert [text_of(item) for item in stored] == said * 2
    assert len({item["id"] for item in stored}) == 4
    for turn in (first, second):
        for state in ("added", "done"):
            assert len({i["id"] for i in turn.items(state, "assistant_message")}) == 2
        assert_updates_follow_their_item(turn)


def test_the_next_turn_has_the_messages_and_calls(visitor: Visitor, model: Model, api: str) -> None:
    """Calls and results are sent in pairs, without items of an earlier response."""
    first = visitor.say("Think: the launch is on Friday")
    model.forget()

    second = visitor.say("When is the launch?", first.thread_id)

    assert second.answers == ["On Friday, as your note says."]
    [request] = model.asked()
    saved = r"Saved as note \d+\."
    if api == RESPONSES:
        assert request["path"] == "/v1/responses"
        question, call, output, answer, new_question = request["body"]["input"]
        assert (call["type"], call["name"]) == ("function_call", "save_note")
        assert (output["type"], output["call_id"]) == ("function_call_output", call["call_id"])
        assert call["call_id"] == "call_thought"
        assert json.loads(call["arguments"]) == {"text": "The launch is on Friday."}
        assert re.fullmatch(saved, output["output"])
        assert not [item for item in request["body"]["input"] if "id" in item]
        assert "previous_response_id" not in request["body"]
    else:
        assert request["path"] == "/v1/chat/completions"
        system, question, calling, output, answer, new_question = request["body"]["messages"]
        assert system["role"] == "system"
        [call] = calling["tool_calls"]
        assert (call["function"]["name"], call["id"]) == ("save_note", "call_thought")
        assert (output["role"], output["tool_call_id"]) == ("tool", call["id"])
        assert json.loads(call["function"]["arguments"]) == {"text": "The launch is on Friday."}
        assert re.fullmatch(saved, output["content"])
    assert (question["role"], said_in(question)) == (
        "user",
        "Think: the launch is on Friday",
    )
    assert (answer["role"], said_in(answer)) == ("assistant", first.answers[0])
    assert (new_question["role"], said_in(new_question)) == ("user", "When is the launch?")
    sent = json.dumps(request["body"])
    assert "The user wants a note." not in sent
    for item in visitor.items(first.thread_id):
        assert item["id"] not in sent


def test_web_search_exists_on_the_responses_api_only(
    visitor: Visitor, model: Model, api: str
) -> None:
    """It is not offered on Chat Completions."""
    expected = [tool for tool in QUESTIONS["_tools"] if tool not in hook("pre_gen_project").NEEDS]
    offered = [tool["id"] for tool in visitor.config()["tools"]]
    prompts = [prompt["label"] for prompt in visitor.config()["prompts"]]
    turn = visitor.say("Any news about PostgreSQL?")

    assert not turn.errors
    [request] = model.asked()
    types = [tool["type"] for tool in request["body"]["tools"]]
    if api == RESPONSES:
        assert offered == expected
        assert "Web search" in prompts
        assert types.count("web_search") == 1
        assert "web_search_call.action.sources" in request["body"]["include"]
        assert "workflow.task.added: Searching the web (loading)" in turn.story
        assert "workflow.task.updated: Searched the web (complete)" in turn.story
        [workflow] = turn.items("done", "workflow")
        assert workflow["workflow"]["tasks"][-1]["queries"] == ["PostgreSQL news"]
    else:
        assert offered == [tool for tool in expected if tool != "web_search"]
        assert "Web search" not in prompts
        assert set(types) == {"function"}


def test_a_chosen_tool_is_forced_and_alone(visitor: Visitor, model: Model, api: str) -> None:
    visitor.say("Remember that our launch is on Friday", tool="notes")

    chosen, _ = (request["body"] for request in model.asked())
    assert chosen["tool_choice"] == "required"
    names = [t["name"] if api == RESPONSES else t["function"]["name"] for t in chosen["tools"]]
    assert names == ["save_note", "list_notes", "search_notes", "delete_note"]


def test_disconnecting_stops_the_model_and_keeps_the_text(visitor: Visitor, model: Model) -> None:
    heard = thread_id = ""
    with closing(visitor.listen("Count slowly to twenty")) as events:
        for event in events:
            if event["type"] == "thread.created":
                thread_id = event["thread"]["id"]
            heard += event.get("update", {}).get("delta", "")
            if "two" in heard:
                break

    assert eventually(lambda: model.asked()[0]["ended"]) == "left"
    kept = eventually(
        lambda: [text_of(i) for i in visitor.items(thread_id) if i["type"] == "assistant_message"]
    )
    assert len(kept) == 1
    assert kept[0].startswith(heard)
    assert "nine" not in kept[0]


def test_a_request_to_a_busy_model_is_retried(visitor: Visitor, model: Model) -> None:
    turn = visitor.say("Be busy once, then answer")

    assert [request["status"] for request in model.asked()] == [429, 200]
    assert turn.answers == ["Here I am again."]
    assert not turn.errors


@pytest.mark.parametrize(
    ("message", "status", "told"),
    [
        ("Always be busy", 429, "The model is busy right now. Please try again in a moment."),
        ("Break down", 500, "The model cannot be reached right now. Please try again in a moment."),
    ],
)
def test_an_error_of_the_model_has_a_plain_message(
    visitor: Visitor, model: Model, message: str, status: int, told: str
) -> None:
    turn = visitor.say(message)

    assert {request["status"] for request in model.asked()} == {status}
    assert len(model.asked()) > 1
    [error] = turn.errors
    assert turn.events[-1] == error
    assert (error["message"], error["allow_retry"]) == (told, True)
    assert "secret-internals" not in json.dumps(turn.events)
    [workflow] = turn.items("done", "workflow")
    assert workflow["workflow"]["expanded"] is False
    assert [i["type"] for i in visitor.items(turn.thread_id)] == ["user_message", "workflow"]


def test_an_interrupted_stream_keeps_its_text(visitor: Visitor, model: Model) -> None:
    turn = visitor.say("Stop in the middle")

    assert model.asked()[-1]["ended"] == "cut"
    [error] = turn.errors
    assert turn.events[-1] == error
    assert error["allow_retry"] is True
    [answer] = turn.answers
    assert answer
    assert "This answer begins well and is never heard to its end.".startswith(answer)
    stored = visitor.items(turn.thread_id)
    assert [item["type"] for item in stored] == ["user_message", "workflow", "assistant_message"]
    assert text_of(stored[-1]) == answer


def test_a_conversation_continues_after_a_restart(
    visitor: Visitor, application: Application, model: Model
) -> None:
    first = visitor.say("Remember that our launch is on Friday")
    before = visitor.items(first.thread_id)

    application.restart()

    assert visitor.items(first.thread_id) == before
    model.forget()
    second = visitor.say("When is the launch?", first.thread_id)
    assert second.answers == ["On Friday, as your note says."]
    sent = json.dumps(model.asked()[0]["body"])
    assert "Remember that our launch is on Friday" in sent
    assert "call_launch" in sent


def test_smoke_passes_against_a_server_with_a_key(
    application: Application, project: BakedProject, model: Model
) -> None:
    said = project.run("python", "-m", "app", "smoke", "--url", application.url)

    assert "ok    a new chat streams in the specified order" in said
    assert "FAILED" not in said
    assert model.asked()


def assert_updates_follow_their_item(turn: Turn) -> None:
    open_items: set[str] = set()
    for event in turn.events:
        match event:
            case {"type": "thread.item.added", "item": {"id": item_id}}:
                assert item_id not in open_items
                open_items.add(item_id)
            case {"type": "thread.item.updated", "item_id": item_id}:
                assert item_id in open_items
            case {"type": "thread.item.done", "item": {"type": "assistant_message", "id": item_id}}:
                open_items.remove(item_id)


def eventually(ask: Callable[[], T], seconds: float = 60) -> T:
    """Call `ask` until its result is not empty."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)
    return answer


def text_of(item: Json) -> str:
    return "".join(part["text"] for part in item["content"])


def said_in(message: Json) -> str:
    """The text of a message to the model; both APIs take it as one string or in parts."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(part["text"] for part in content)


def line_of(event: Json) -> str:
    match event:
        case {"type": "thread.item.added", "item": {"type": "workflow", "workflow": workflow}}:
            return f"workflow added: {workflow['tasks'][0]['title']}"
        case {"type": "thread.item.added" | "thread.item.done" as type_, "item": {"type": kind}}:
            return f"{kind} {type_.rsplit('.')[-1]}"
        case {"type": "thread.item.updated", "update": {"type": kind, "task": task}}:
            return f"{kind}: {task.get('title', task['type'])} ({task['status_indicator']})"
        case {"type": "thread.item.updated", "update": {"type": kind}}:
            return str(kind)
    return str(event["type"])
