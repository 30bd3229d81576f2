"""The checks of `python3 -m app smoke`: an instance that runs, proven over HTTP as a browser would.

No SDK is imported: this side speaks the protocol itself.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol

import httpx2

REQUEST_SECONDS = 120
MESSAGE = "Hello. This is the smoke test, with a message of more than fifty characters."
# People write in all scripts; a database in another encoding than UTF-8 would refuse them.
SCRIPTS = "Grüße, Привет, שלום, مرحبا, नमस्ते, 你好, こんにちは 🙂👩🏽‍🚀"
NEW_TITLE = "Renamed by the smoke test 🙂"
# The result of a tool that asks the page, and how often one may ask.
NO_PAGE = {"title": "The smoke test, which has no page"}
PAGE_QUESTIONS = 5

Json = dict[str, Any]
Report = Callable[[str], None]
Credentials = dict[str, str]

ASKS_PAGE: Json = {"type": "thread.item.done", "item": {"type": "client_tool_call"}}
ANSWER_DONE = "answer done"
TOOL_CALL = ("tool task added, loading", "tool task complete")
# The events of a whole turn in their order. A type stands for any value of it, a range for one
# of its numbers (the first task is "Analyzing request" itself).
ORDER: dict[str, Json] = {
    "thread created": {"type": "thread.created"},
    "user message stored": {"type": "thread.item.done", "item": {"type": "user_message"}},
    "workflow added with “Analyzing request”": {
        "type": "thread.item.added",
        "item": {"type": "workflow", "workflow": {"tasks": [{"title": "Analyzing request"}]}},
    },
    TOOL_CALL[0]: {
        "type": "thread.item.updated",
        "update": {"type": "workflow.task.added", "task": {"status_indicator": "loading"}},
    },
    TOOL_CALL[1]: {
        "type": "thread.item.updated",
        "update": {
            "type": "workflow.task.updated",
            "task_index": range(1, 1_000),
            "task": {"status_indicator": "complete"},
        },
    },
    "workflow done, collapsed, with its duration": {
        "type": "thread.item.done",
        "item": {
            "type": "workflow",
            "workflow": {"expanded": False, "summary": {"duration": int}},
        },
    },
    "answer added": {"type": "thread.item.added", "item": {"type": "assistant_message"}},
    "answer streamed": {
        "type": "thread.item.updated",
        "update": {"type": "assistant_message.content_part.text_delta"},
    },
    ANSWER_DONE: {"type": "thread.item.done", "item": {"type": "assistant_message"}},
}


class SmokeFailure(Exception):
    """A check that did not hold: what was expected and what came."""


class CheckSkipped(Exception):
    """A check that is not possible here, and why."""


class SignInWay(Protocol):
    """How two users sign in at an instance that runs: a module such as `smoke_sign_in`."""

    HOW: str

    def sign_in(self, url: str) -> list[Credentials]:
        """Request headers of the users that the environment names; none when it names none."""
        ...


@dataclass(frozen=True)
class Target:
    """A running instance, two users of it, and what to say to it."""

    url: str
    users: tuple[Credentials, Credentials]
    tool: str | None
    message: str
    must_call_tool: bool


def report_on(run: Callable[[], int]) -> int:
    """Run checks, which returns how many there were; print that or the failure. The exit code."""
    started = time.monotonic()
    try:
        passed = run()
    except SmokeFailure as failure:
        print(f"FAILED: {failure}")
        return 1
    except httpx2.HTTPError as error:
        print(f"FAILED: the server does not answer: {type(error).__name__} {error}")
        return 1
    print(f"{passed} checks in {time.monotonic() - started:.1f} s")
    return 0


def smoke(url: str, users: list[Credentials], ways: Sequence[SignInWay] = ()) -> int:
    """Run every check on the instance at `url`, print each; return the process's exit code.

    `users`: two users' request headers. Without, `ways` or the instance itself sign them in.
    """
    return report_on(lambda: _prove(url.rstrip("/"), users, ways))


def _prove(url: str, users: list[Credentials], ways: Sequence[SignInWay]) -> int:
    with closing(Checks(_deployed(url, users, ways), print_line)) as checks:
        checks.before_chat()
        checks.chat()
        try:
            checks.after_chat()
            checks.still_there("the conversation is still there")
        finally:
            checks.delete()
    print("note  the restart was left out: this server is not ours to stop")
    return checks.passed


def print_line(line: str) -> None:
    print(line, flush=True)


def _deployed(url: str, users: list[Credentials], ways: Sequence[SignInWay]) -> Target:
    headers = users[0] if users else {}
    visit = httpx2.get(f"{url}/config.json", headers=headers, timeout=REQUEST_SECONDS)
    config = _expect_status(visit, 200).json()
    if visit.cookies and not users:
        # A style that needs no sign-in gives a cookie to everybody who opens the page.
        users = [_visit(url), _visit(url)]
    for way in ways:
        users = users or way.sign_in(url)
    tools = [tool["id"] for tool in config["tools"]]
    prompts = [prompt["prompt"] for prompt in config["prompts"]]
    return Target(
        url=url,
        users=two(users, ways),
        tool=tools[0] if tools else None,
        message=prompts[0] if tools and prompts else MESSAGE,
        # The demo model cannot call every tool, and this side cannot know which.
        must_call_tool=bool(tools) and not config["demo"],
    )


def _visit(url: str) -> Credentials:
    """Open the page as somebody new, and keep the cookie."""
    cookies = httpx2.get(f"{url}/config.json", timeout=REQUEST_SECONDS).cookies
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def two(users: list[Credentials], ways: Sequence[SignInWay]) -> tuple[Credentials, Credentials]:
    if len(users) != 2:
        hows = [way.HOW for way in ways]
        hows += ["--token ONE --token TWO (or SMOKE_TOKENS=ONE,TWO)"]
        hows += ["--cookie NAME=VALUE --cookie NAME=VALUE"]
        raise SmokeFailure(f"two users' credentials are needed: {', or '.join(hows)}")
    return users[0], users[1]


class Checks:
    """The checks in the order in which they build on one another."""

    def __init__(self, target: Target, report: Report) -> None:
        self.passed = 0
        self._report = report
        self._target, self._client = target, _client(target)

    def use(self, target: Target) -> None:
        """Go on with this instance; what was said to another one is not forgotten."""
        self.close()
        self._target, self._client = target, _client(target)

    def close(self) -> None:
        self._client.close()

    def before_chat(self) -> None:
        self.check("the application is ready", self._ready)
        self.check("the page is served with the official script", self._page)
        self.check("a request without credentials is refused", self._refused)

    def chat(self) -> None:
        self.check("a new chat streams in the specified order", self._chat)

    def after_chat(self) -> None:
        self.check("the thread is listed with its title", self._listed)
        self.check("its items load", self._items)
        self.check("a second user gets 404 and an empty list", self._strangers)
        self.check("feedback is taken", self._feedback)
        self.check("the thread is renamed", self._rename)

    def still_there(self, name: str) -> None:
        self.check(name, self._still_there)

    def delete(self) -> None:
        self.check("the thread is deleted", self._delete)

    def check(self, name: str, check: Callable[[], None]) -> None:
        """Raises `SmokeFailure`, which names the check. One that is skipped is not counted."""
        try:
            check()
        except CheckSkipped as skipped:
            self._report(f"skipped  {name}: {skipped}")
            return
        except SmokeFailure as failure:
            raise SmokeFailure(f"{name}: {failure}") from failure
        except httpx2.HTTPError as error:
            fault = f"{type(error).__name__} {error}"
            raise SmokeFailure(f"{name}: the server does not answer: {fault}") from error
        except (LookupError, ValueError) as error:
            raise SmokeFailure(f"{name}: not the expected answer: {error!r}") from error
        self.passed += 1
        self._report(f"ok    {name}")

    def _ready(self) -> None:
        _expect_status(self._get("/readyz"), 200)

    def _page(self) -> None:
        page = _expect_status(self._get("/"), 200).text
        script = _expect_status(self._get("/config.json"), 200).json()["scriptUrl"]
        expect("<openai-chatkit" in page, "the page has no <openai-chatkit> element")
        expect(script in page, f"the page does not load {script}")

    def _refused(self) -> None:
        response = self._client.post("/chatkit", json=_request("threads.list"))
        if not response.is_redirect:  # what stands in front may send to where one signs in
            _expect_status(response, 401, 403)

    def _chat(self) -> None:
        options = {"tool_choice": {"id": self._target.tool}} if self._target.tool else {}
        message = {
            "content": [{"type": "input_text", "text": self._text}],
            "attachments": [],
            "inference_options": options,
        }
        events = self._turn(_request("threads.create", input=message))
        check_order(events, must_call_tool=self._target.must_call_tool)
        self._thread = {"thread_id": events[0]["thread"]["id"]}
        [answer] = [event["item"] for event in events if _fits(event, ORDER[ANSWER_DONE])]
        self._rated = {"item_ids": [answer["id"]], "kind": "positive"}

    @property
    def _text(self) -> str:
        return f"{self._target.message} {SCRIPTS}"

    def _listed(self) -> None:
        threads = self._ask("threads.list")["data"]
        [title] = [one["title"] for one in threads if one["id"] == self._thread["thread_id"]]
        expect((title or "").startswith(self._target.message[:47]), f"titled {title!r}")

    def _items(self) -> None:
        items = self._ask("items.list", **self._thread, order="asc")["data"]
        # A tool may have shown something between them, or asked the page.
        between = ("widget", "client_tool_call")
        kinds = [item["type"] for item in items if item["type"] not in between]
        expect(kinds == ["user_message", "workflow", "assistant_message"], f"items: {kinds}")
        text = items[0]["content"][0]["text"]
        expect(text == self._text, f"the message reads {text!r}, and was {self._text!r}")

    def _strangers(self) -> None:
        theirs: dict[str, Json] = {
            "threads.get_by_id": {},
            "items.list": {},
            "threads.update": {"title": "stolen"},
            "items.feedback": self._rated,
            "threads.delete": {},
        }
        for kind, params in theirs.items():
            request = _request(kind, **self._thread, **params)
            _expect_status(self._post(request, user=1), 404)
        listed = [one["id"] for one in self._post(_request("threads.list"), user=1).json()["data"]]
        expect(self._thread["thread_id"] not in listed, "the thread is in their list")

    def _feedback(self) -> None:
        self._ask("items.feedback", **self._thread, **self._rated)

    def _rename(self) -> None:
        self._ask("threads.update", **self._thread, title=NEW_TITLE)

    def _still_there(self) -> None:
        title = self._ask("threads.get_by_id", **self._thread)["title"]
        expect(title == NEW_TITLE, f"titled {title!r}")
        self._items()

    def _delete(self) -> None:
        self._ask("threads.delete", **self._thread)
        _expect_status(self._post(_request("threads.get_by_id", **self._thread)), 404)

    def _ask(self, kind: str, /, **params: object) -> Json:
        answer: Json = _expect_status(self._post(_request(kind, **params)), 200).json()
        return answer

    def _get(self, path: str) -> httpx2.Response:
        return self._client.get(path, headers=self._target.users[0])

    def _post(self, request: Json, *, user: int = 0) -> httpx2.Response:
        return self._client.post("/chatkit", json=request, headers=self._target.users[user])

    def _turn(self, request: Json) -> list[Json]:
        """The events of a whole turn. One that asks the page goes on with what the page says."""
        events = list(self._stream(request))
        for _ in range(PAGE_QUESTIONS):
            if not (events and _fits(events[-1], ASKS_PAGE)):
                break
            said = {"thread_id": events[-1]["item"]["thread_id"], "result": NO_PAGE}
            events += self._stream(_request("threads.add_client_tool_output", **said))
        return events

    def _stream(self, request: Json) -> Iterator[Json]:
        headers = self._target.users[0]
        with self._client.stream("POST", "/chatkit", json=request, headers=headers) as response:
            if response.status_code != 200:
                response.read()
            _expect_status(response, 200)
            for line in response.iter_lines():
                if line.startswith("data: "):
                    yield json.loads(line.removeprefix("data: "))


def check_order(events: list[Json], *, must_call_tool: bool) -> None:
    """Raise `SmokeFailure` unless the events are those of one whole turn, in order."""
    labels = [name for event in events for name, form in ORDER.items() if _fits(event, form)]
    for event in events:
        if event["type"] == "error":
            raise SmokeFailure(f"the stream says: {event.get('message') or event.get('code')}")
    seen = list(dict.fromkeys(labels))
    called = must_call_tool or any(label in seen for label in TOOL_CALL)
    expected = [step for step in ORDER if step not in TOOL_CALL or called]
    expect(seen == expected, f"expected {', '.join(expected)}; got {', '.join(seen) or 'nothing'}")
    expect(labels[-1] == ANSWER_DONE, f"the stream ended with: {labels[-1]}")


def _fits(found: object, form: object) -> bool:
    """True if `found` has all that `form` has."""
    match form:
        case dict():
            return isinstance(found, dict) and all(
                key in found and _fits(found[key], part) for key, part in form.items()
            )
        case list():
            return (
                isinstance(found, list)
                and len(found) == len(form)
                and all(_fits(*pair) for pair in zip(found, form, strict=True))
            )
        case type():
            return isinstance(found, form)
        case range():
            return found in form
    return found == form


def _client(target: Target) -> httpx2.Client:
    client = httpx2.Client(base_url=target.url, timeout=REQUEST_SECONDS)
    # Who asks is said with each request; a cookie that came with the page is not kept.
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _request(kind: str, /, **params: object) -> Json:
    return {"type": kind, "params": params}


def expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SmokeFailure(otherwise)


def _expect_status(response: httpx2.Response, *allowed: int) -> httpx2.Response:
    if response.status_code not in allowed:
        asked = f"{response.request.method} {response.request.url.path}"
        expected, said = " or ".join(map(str, allowed)), response.text[:500]
        raise SmokeFailure(f"{asked}: expected {expected}, got {response.status_code}: {said}")
    return response
