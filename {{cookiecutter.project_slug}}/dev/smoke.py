"""`python -m app smoke`: the application proven over HTTP, against a server process of its own.

With `--url` the same checks run against an instance that is deployed. The SDKs are imported by
the server alone: this side speaks the protocol as a browser does.
"""

import asyncio
import importlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from uuid import uuid4

import asyncpg
import httpx

from dev.database import running_database
from dev.options import SMOKE_CHECKS, SMOKE_USERS
from dev.smoke_process import Server, SmokeFailure, two_servers
from engine.database.database import EVERYBODY_SETTING, TABLE_PREFIX
from engine.settings.database_url import connect_options
from engine.settings.settings import Settings

REQUEST_SECONDS = 120
MESSAGE = "Hello. This is the smoke test, with a message of more than fifty characters."
# People write in all scripts; a database in another encoding than UTF-8 would refuse them.
SCRIPTS = "Grüße, Привет, שלום, مرحبا, नमस्ते, 你好, こんにちは 🙂👩🏽‍🚀"
NEW_TITLE = "Renamed by the smoke test 🙂"
# What a tool that asks the page gets to know, and how often it may ask.
NO_PAGE = {"title": "The smoke test, which has no page"}
PAGE_QUESTIONS = 5

Json = dict[str, Any]
Report = Callable[[str], None]
Credentials = dict[str, str]

THREAD_CREATED = "thread created"
USER_MESSAGE = "user message stored"
WORKFLOW_ADDED = "workflow added with “Analyzing request”"
TASK_ADDED = "tool task added, loading"
TASK_DONE = "tool task complete"
WORKFLOW_DONE = "workflow done, collapsed, with its duration"
ANSWER_ADDED = "answer added"
ANSWER_TEXT = "answer streamed"
ANSWER_DONE = "answer done"

TOOL_CALL = (TASK_ADDED, TASK_DONE)
ORDER = (
    THREAD_CREATED,
    USER_MESSAGE,
    WORKFLOW_ADDED,
    *TOOL_CALL,
    WORKFLOW_DONE,
    ANSWER_ADDED,
    ANSWER_TEXT,
    ANSWER_DONE,
)


@dataclass(frozen=True)
class Target:
    """A running instance, two users of it, and what to say to it."""

    url: str
    users: tuple[Credentials, Credentials]
    tool: str | None
    message: str
    must_call_tool: bool


def smoke(url: str | None, users: list[Credentials]) -> int:
    """Run every check, print each; return the process's exit code.

    `users`: how two of them sign in, where the application cannot sign them in itself.
    """
    started = time.monotonic()
    try:
        passed = _smoke_deployed(url, users) if url else _smoke_local(users)
    except SmokeFailure as failure:
        print(f"FAILED: {failure}")
        return 1
    except httpx.HTTPError as error:
        print(f"FAILED: the server does not answer: {type(error).__name__} {error}")
        return 1
    print(f"{passed} checks in {time.monotonic() - started:.1f} s")
    return 0


def prove(
    servers: tuple[Server, Server], database_url: str, users: list[Credentials], report: Report
) -> int:
    """Run every check against the first server, then the second; how many there were."""
    first, second = servers
    with _users(database_url) as user_ids:
        # With credentials from outside there is nobody to make them for.
        sampled = [] if users else user_ids
        with closing(Checks(_target(first.start(database_url, sampled), users), report)) as checks:
            checks.before_chat()
            checks.of_options(database_url)
            checks.chat()
            checks.after_chat()
            first.stop()
            checks.use(_target(second.start(database_url, sampled), users))
            checks.still_there("after a restart the conversation is still there")
            checks.delete()
            second.stop()
    return checks.passed


def _smoke_local(users: list[Credentials]) -> int:
    with two_servers() as servers, running_database(Settings()) as url:
        return prove(servers, url, users, _print)


def _smoke_deployed(url: str, users: list[Credentials]) -> int:
    with closing(Checks(_deployed(url.rstrip("/"), users), _print)) as checks:
        checks.before_chat()
        checks.chat()
        try:
            checks.after_chat()
            checks.still_there("the conversation is still there")
        finally:
            checks.delete()
    print("note  the restart was left out: this server is not ours to stop")
    return checks.passed


def _print(line: str) -> None:
    print(line, flush=True)


class Checks:
    """The checks in the order in which they build on one another."""

    def __init__(self, target: Target, report: Report) -> None:
        self.passed = 0
        self._report = report
        self._thread_id = ""
        self._target, self._client = target, _client(target)

    def use(self, target: Target) -> None:
        """Go on with this instance; what was said to another one is not forgotten."""
        self.close()
        self._target, self._client = target, _client(target)

    def close(self) -> None:
        self._client.close()

    def before_chat(self) -> None:
        self._check("the application is ready", self._ready)
        self._check("the page is served with the official script", self._page)
        self._check("a request without credentials is refused", self._refused)

    def of_options(self, database_url: str) -> None:
        for name in SMOKE_CHECKS:
            module = importlib.import_module(name)
            self._check(module.NAME, partial(module.check, self._target.url, database_url))

    def chat(self) -> None:
        self._check("a new chat streams in the specified order", self._chat)

    def after_chat(self) -> None:
        self._check("the thread is listed with its title", self._listed)
        self._check("its items load", self._items)
        self._check("a second user gets 404 and an empty list", self._strangers)
        self._check("feedback is taken", self._feedback)
        self._check("the thread is renamed", self._rename)

    def still_there(self, name: str) -> None:
        self._check(name, self._still_there)

    def delete(self) -> None:
        self._check("the thread is deleted", self._delete)

    def _check(self, name: str, check: Callable[[], None]) -> None:
        try:
            check()
        except SmokeFailure as failure:
            raise SmokeFailure(f"{name}: {failure}") from failure
        except httpx.HTTPError as error:
            raise SmokeFailure(
                f"{name}: the server does not answer: {type(error).__name__} {error}"
            ) from error
        except (LookupError, ValueError) as error:
            raise SmokeFailure(f"{name}: not the expected answer: {error!r}") from error
        self.passed += 1
        self._report(f"ok    {name}")

    def _ready(self) -> None:
        _expect_status(self._get("/readyz"), 200)

    def _page(self) -> None:
        page = _expect_status(self._get("/"), 200).text
        script = _expect_status(self._get("/config.json"), 200).json()["scriptUrl"]
        _expect("<openai-chatkit" in page, "the page has no <openai-chatkit> element")
        _expect(script in page, f"the page does not load {script}")

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
        self._thread_id = events[0]["thread"]["id"]
        answer = events[[_label(event) for event in events].index(ANSWER_DONE)]["item"]
        self._answer_id = answer["id"]

    @property
    def _text(self) -> str:
        return f"{self._target.message} {SCRIPTS}"

    def _listed(self) -> None:
        [thread] = [t for t in self._ask("threads.list")["data"] if t["id"] == self._thread_id]
        start = self._target.message[:47]
        _expect((thread["title"] or "").startswith(start), f"titled {thread['title']!r}")

    def _items(self) -> None:
        items = self._ask("items.list", thread_id=self._thread_id, order="asc")["data"]
        # (A tool may have shown something between them, or asked the page.)
        between = ("widget", "client_tool_call")
        kinds = [item["type"] for item in items if item["type"] not in between]
        _expect(kinds == ["user_message", "workflow", "assistant_message"], f"items: {kinds}")
        text = items[0]["content"][0]["text"]
        _expect(text == self._text, f"the message reads {text!r}, and was {self._text!r}")

    def _strangers(self) -> None:
        theirs: dict[str, Json] = {
            "threads.get_by_id": {},
            "items.list": {},
            "threads.update": {"title": "stolen"},
            "items.feedback": {"item_ids": [self._answer_id], "kind": "positive"},
            "threads.delete": {},
        }
        for kind, params in theirs.items():
            request = _request(kind, thread_id=self._thread_id, **params)
            _expect_status(self._post(request, user=1), 404)
        listed = self._post(_request("threads.list"), user=1).json()["data"]
        _expect(all(t["id"] != self._thread_id for t in listed), "the thread is in their list")

    def _feedback(self) -> None:
        params = {"item_ids": [self._answer_id], "kind": "positive"}
        self._ask("items.feedback", thread_id=self._thread_id, **params)

    def _rename(self) -> None:
        self._ask("threads.update", thread_id=self._thread_id, title=NEW_TITLE)

    def _still_there(self) -> None:
        thread = self._ask("threads.get_by_id", thread_id=self._thread_id)
        _expect(thread["title"] == NEW_TITLE, f"titled {thread['title']!r}")
        self._items()

    def _delete(self) -> None:
        self._ask("threads.delete", thread_id=self._thread_id)
        request = _request("threads.get_by_id", thread_id=self._thread_id)
        _expect_status(self._post(request), 404)

    def _ask(self, kind: str, /, **params: object) -> Json:
        answer: Json = _expect_status(self._post(_request(kind, **params)), 200).json()
        return answer

    def _get(self, path: str) -> httpx.Response:
        return self._client.get(path, headers=self._target.users[0])

    def _post(self, request: Json, *, user: int = 0) -> httpx.Response:
        return self._client.post("/chatkit", json=request, headers=self._target.users[user])

    def _turn(self, request: Json) -> list[Json]:
        """The events of a whole turn. One that asks the page goes on with what the page says."""
        events = list(self._stream(request))
        for _ in range(PAGE_QUESTIONS):
            if not (events and _asks_page(events[-1])):
                break
            thread_id = events[-1]["item"]["thread_id"]
            said = {"thread_id": thread_id, "result": NO_PAGE}
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
    labels = [label for event in events if (label := _label(event))]
    seen = list(dict.fromkeys(labels))
    called = any(label in seen for label in TOOL_CALL)
    expected = [step for step in ORDER if step not in TOOL_CALL or called or must_call_tool]
    _expect(seen == expected, f"expected {', '.join(expected)}; got {', '.join(seen) or 'nothing'}")
    _expect(labels[-1] == ANSWER_DONE, f"the stream ended with: {labels[-1]}")


def _asks_page(event: Json) -> bool:
    match event:
        case {"type": "thread.item.done", "item": {"type": "client_tool_call"}}:
            return True
    return False


def _label(event: Json) -> str | None:
    """What an event means for the order; None for those that may stand anywhere."""
    match event:
        case {"type": "error"}:
            raise SmokeFailure(f"the stream says: {event.get('message') or event.get('code')}")
        case {"type": "thread.created"}:
            return THREAD_CREATED
        case {"type": "thread.item.updated", "update": update}:
            return _update_label(update)
        case {"type": "thread.item.done", "item": {"type": "user_message"}}:
            return USER_MESSAGE
        case {
            "type": "thread.item.added",
            "item": {"type": "workflow", "workflow": {"tasks": [{"title": "Analyzing request"}]}},
        }:
            return WORKFLOW_ADDED
        case {
            "type": "thread.item.done",
            "item": {
                "type": "workflow",
                "workflow": {"expanded": False, "summary": {"duration": int()}},
            },
        }:
            return WORKFLOW_DONE
        case {"type": "thread.item.added", "item": {"type": "assistant_message"}}:
            return ANSWER_ADDED
        case {"type": "thread.item.done", "item": {"type": "assistant_message"}}:
            return ANSWER_DONE
    return None


def _update_label(update: Json) -> str | None:
    match update:
        case {"type": "workflow.task.added", "task": {"status_indicator": "loading"}}:
            return TASK_ADDED
        # The first task is "Analyzing request" itself.
        case {
            "type": "workflow.task.updated",
            "task_index": int(index),
            "task": {"status_indicator": "complete"},
        } if index > 0:
            return TASK_DONE
        case {"type": "assistant_message.content_part.text_delta"}:
            return ANSWER_TEXT
    return None


def _client(target: Target) -> httpx.Client:
    client = httpx.Client(base_url=target.url, timeout=REQUEST_SECONDS)
    # Who asks is said with each request; a cookie that came with the page is not kept.
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return client


def _request(kind: str, /, **params: object) -> Json:
    return {"type": kind, "params": params}


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise SmokeFailure(otherwise)


def _expect_status(response: httpx.Response, *allowed: int) -> httpx.Response:
    if response.status_code not in allowed:
        said = response.text[:500]
        asked = f"{response.request.method} {response.request.url.path}"
        expected = " or ".join(map(str, allowed))
        raise SmokeFailure(f"{asked}: expected {expected}, got {response.status_code}: {said}")
    return response


def _target(ready: Json, users: list[Credentials]) -> Target:
    tool = ready["tool"]
    return Target(
        ready["url"],
        _two(users or ready["users"]),
        tool,
        ready["message"],
        must_call_tool=tool is not None,
    )


def _deployed(url: str, users: list[Credentials]) -> Target:
    headers = users[0] if users else {}
    visit = httpx.get(f"{url}/config.json", headers=headers, timeout=REQUEST_SECONDS)
    config = _expect_status(visit, 200).json()
    if visit.cookies and not users:
        # A style that needs no sign-in gives a cookie to everybody who opens the page.
        users = [_visit(url), _visit(url)]
    for name in SMOKE_USERS:
        users = users or importlib.import_module(name).sign_in(url)
    tools = [tool["id"] for tool in config["tools"]]
    prompts = [prompt["prompt"] for prompt in config["prompts"]]
    return Target(
        url=url,
        users=_two(users),
        tool=tools[0] if tools else None,
        message=prompts[0] if tools and prompts else MESSAGE,
        # The demo model cannot call every tool, and this side cannot know which.
        must_call_tool=bool(tools) and not config["demo"],
    )


def _visit(url: str) -> Credentials:
    """Open the page as somebody new, and keep the cookie."""
    cookies = httpx.get(f"{url}/config.json", timeout=REQUEST_SECONDS).cookies
    return {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}


def _two(users: list[Credentials]) -> tuple[Credentials, Credentials]:
    if len(users) != 2:
        ways = [importlib.import_module(name).HOW for name in SMOKE_USERS]
        ways += ["--token ONE --token TWO (or SMOKE_TOKENS=ONE,TWO)"]
        ways += ["--cookie NAME=VALUE --cookie NAME=VALUE"]
        raise SmokeFailure(f"two users' credentials are needed: {', or '.join(ways)}")
    return users[0], users[1]


@contextmanager
def _users(database_url: str) -> Iterator[list[str]]:
    """Two users that nobody has been; deleted at the end, and with them all that was theirs."""
    user_ids = [f"smoke-{uuid4().hex}" for _ in range(2)]
    try:
        yield user_ids
    finally:
        asyncio.run(_delete_users(database_url, user_ids))


async def _delete_users(database_url: str, user_ids: list[str]) -> None:
    # (No cache: what PgBouncer leads to remembers no statement.)
    connection = await asyncpg.connect(**connect_options(database_url), statement_cache_size=0)
    try:
        async with connection.transaction():
            await connection.execute("SELECT set_config($1, 'on', true)", EVERYBODY_SETTING)
            users = f'"{TABLE_PREFIX}users"'
            await connection.execute(f"DELETE FROM {users} WHERE id = ANY($1)", user_ids)  # noqa: S608
    except asyncpg.UndefinedTableError:
        return  # nothing was migrated, so nobody was written down
    finally:
        await connection.close()
