"""Debian's Chromium on a generated project's page, with a stand-in for OpenAI's CDN."""

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Literal

from conftest import lack, npm_install
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    Request,
    Response,
    Route,
    expect,
    sync_playwright,
)

CDN = "https://cdn.platform.openai.com/deployments/chatkit/"
STANDIN = Path(__file__).parent / "browser" / "standin.js"
TRANSPORT = CDN + "fetch-event-source/"
# The element's frame: it sends a message when it starts, and replies to each message.
ANSWERING = """<!doctype html><script>
const say = (message) => parent.postMessage({ __oaiChatKit: true, ...message }, "*");
addEventListener("message", ({ data }) => say({ type: "response", nonce: data.nonce }));
</script>"""
FRAME = ANSWERING + "<script>say({ type: 'event', event: 'started' })</script>"
OTHER_ORIGINS = re.compile(r"^https?://(?!127\.0\.0\.1[:/]|[\w.]*localhost[:/])")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)

# Captured, because some events do not bubble.
RECORD = """
window.heard = [];
for (const name of ["ready", "error", "effect", "deeplink", "response.start", "response.end",
    "history.open", "history.close", "thread.change", "thread.load.start", "thread.load.end",
    "tool.change", "log"]) {
  document.addEventListener(`chatkit.${name}`, ({ type, detail }) => {
    window.heard.push([type.replace("chatkit.", ""), detail ?? null]);
  }, true);
}
"""

# The timeout of every wait, long enough for a busy machine.
SECONDS = 60

Json = dict[str, Any]
Headers = dict[str, str]
Scheme = Literal["light", "dark"]


@contextmanager
def launched() -> Iterator[Browser]:
    """A headless Chromium with its own profile, not one that Playwright downloads."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program(), args=FLAGS)
        yield browser
        browser.close()


def full_program() -> str:
    """Chromium with everything that a browser has: the other one has no back/forward cache."""
    found = shutil.which("chromium")
    if found is None:
        lack("no chromium on the PATH: apt-get install chromium")
    return found


def program() -> str:
    # The first one draws no windows, which saves most of the CPU time.
    found = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if found is None:
        lack("no chromium on the PATH: apt-get install chromium-headless-shell, or chromium")
    return found


@dataclass
class Cdn:
    """The CDN's responses; `None` is a connection that fails."""

    script: str | None = STANDIN.read_text(encoding="utf-8")
    frame: str | None = FRAME

    def answer(self, route: Route) -> None:
        url = route.request.url.partition("#")[0]
        bodies = {CDN + "chatkit.js": self.script, CDN + "frame.html": self.frame}
        body = transport(url.removeprefix(TRANSPORT)) if TRANSPORT in url else bodies.get(url)
        if body is None:
            route.abort()
        else:
            kind = "text/html" if url.endswith(".html") else "text/javascript"
            shared = {"Access-Control-Allow-Origin": "*"}  # modules are requested with CORS
            route.fulfill(body=body, content_type=kind, headers=shared)


@cache
def transport(module: str) -> str:
    """A module of `@microsoft/fetch-event-source`, as published."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    folder = npm_install("browser", owner=f"browser-{worker}")
    package = folder / "node_modules" / "@microsoft" / "fetch-event-source"
    return (package / "lib" / "esm" / f"{module}.js").read_text("utf-8")


@dataclass
class ChatPage:
    """One tab, with its console messages and requests."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)
    allowed: str = r"(?!)"

    def __post_init__(self) -> None:
        self.page.on("console", self._console)
        self.page.on(
            "pageerror", lambda error: self.complaints.append(f"uncaught: {error} {error.stack}")
        )
        self.page.on("request", lambda request: self.requests.append(request))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not re.search(self.allowed, message.text):
            self.complaints.append(f"{message.type}: {message.text} ({message.location['url']})")

    def allow_complaint(self, pattern: str) -> None:
        """Allow this console message from now on, which only some builds of Chromium print."""
        self.allowed = pattern

    def expect_complaint(self, pattern: str) -> None:
        """Wait for this console message; all other messages fail the test at its end.

        One fault may be told of more than once: by the browser, by the element, by the page.
        """
        deadline = time.monotonic() + SECONDS
        while not [line for line in self.complaints if re.search(pattern, line)]:
            assert time.monotonic() < deadline, f"{pattern!r} not in {self.complaints}"
            self.page.wait_for_timeout(50)
        self.expected.append(pattern)

    def unexpected_complaints(self) -> list[str]:
        expected = re.compile("|".join(self.expected) or r"(?!)")
        return [line for line in self.complaints if not expected.search(line)]

    def open(self, path: str = "/") -> "ChatPage":
        self.page.goto(path)
        return self.when_ready()

    def reload(self) -> "ChatPage":
        self.page.reload()
        return self.when_ready()

    def when_ready(self) -> "ChatPage":
        expect(self.page.locator("body[data-chat=ready]")).to_be_attached()
        return self

    # Elements of the page.

    @property
    def composer(self) -> Locator:
        return self.page.get_by_label("Message", exact=True)

    @property
    def messages(self) -> Locator:
        return self.page.locator("[data-type=user_message]")

    @property
    def answers(self) -> Locator:
        return self.page.locator("[data-type=assistant_message]")

    @property
    def workflows(self) -> Locator:
        return self.page.locator("[data-type=workflow]")

    @property
    def notice(self) -> Locator:
        return self.page.locator("#notice [role=status]")

    @property
    def problem(self) -> Locator:
        return self.page.locator("#problem")

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    # Actions of the visitor.

    def send(self, text: str) -> None:
        self.composer.fill(text)
        self.button("Send").click()

    def say(self, text: str) -> "ChatPage":
        """Send a message and wait until the answer ends."""
        with self.next_event("response.end"):
            self.send(text)
        return self

    def post(self, kind: str, **params: Any) -> None:
        """Send a ChatKit request without the page, with its visitor's cookies."""
        response = self.page.request.post("/chatkit", data={"type": kind, "params": params})
        assert response.ok, response.text()

    # Events and requests.

    def events(self, name: str) -> list[Any]:
        """The details of the element's events of this name, since the page was loaded."""
        events = self.page.evaluate("window.heard")
        return [detail for kind, detail in events if kind == name]

    @contextmanager
    def next_event(self, name: str) -> Iterator[None]:
        before = len(self.events(name))
        yield
        self.until(f"window.heard.filter(([kind]) => kind === {name!r}).length > {before}")

    def until(self, expression: str) -> None:
        """Like `wait_for_function`, which cannot be used because it needs `eval` in the page.

        A document that the browser has just begun has no root element, and nothing holds in it.
        """
        deadline = time.monotonic() + SECONDS
        while not self.page.evaluate(f"Boolean(document.documentElement && ({expression}))"):
            assert time.monotonic() < deadline, expression
            self.page.wait_for_timeout(20)

    def sent(self, kind: str) -> list[Json]:
        """The bodies of this tab's ChatKit requests of one type."""
        bodies = [self._body(request) for request in self.requests]
        return [body for body in bodies if body.get("type") == kind]

    @staticmethod
    def _body(request: Request) -> Json:
        if request.method != "POST" or not request.url.endswith("/chatkit"):
            return {}
        body: Json = json.loads(request.post_data or "{}")
        return body

    @contextmanager
    def answered(self, kind: str, status: int = 200) -> Iterator[None]:
        """Wait until a request of this type, sent inside this block, is answered with this status."""

        def is_meant(response: Response) -> bool:
            return self._body(response.request).get("type") == kind

        with self.page.expect_response(is_meant) as info:
            yield
        assert info.value.status == status


@dataclass
class Visitor:
    """A separate browser context with its own cookies and storage."""

    context: BrowserContext
    cdn: Cdn = field(default_factory=Cdn)
    tabs: list[ChatPage] = field(default_factory=list)

    def __post_init__(self) -> None:
        expect.set_options(timeout=SECONDS * 1000)
        self.context.set_default_timeout(SECONDS * 1000)
        self.context.add_init_script(RECORD)
        # Requests to other hosts than the CDN fail, so that none leaves this machine.
        self.context.route(OTHER_ORIGINS, self.cdn.answer)

    def tab(self) -> ChatPage:
        tab = ChatPage(self.context.new_page())
        self.tabs.append(tab)
        return tab

    def complaints(self) -> list[str]:
        return [line for tab in self.tabs for line in tab.unexpected_complaints()]


@contextmanager
def website(
    page: Callable[[str], str],
    port: int = 0,
    headers: Callable[[str], Headers] = lambda _path: {},
    kind: str = "text/html",
) -> Iterator[int]:
    """Another site, at every name that ends with .localhost, with a page for each path; its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", f"{kind}; charset=utf-8")
            for name, value in headers(self.path).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(page(self.path).encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def message(text: str) -> Json:
    content = [{"type": "input_text", "text": text}]
    return {"content": content, "attachments": [], "inference_options": {}}


def violations(chat: ChatPage, axe: str) -> list[str]:
    """The violations that axe-core finds on the page, without the stand-in for the element."""
    chat.page.evaluate(axe)
    found = chat.page.evaluate("axe.run({ exclude: [['openai-chatkit']] })")
    return [
        f"{violation['id']}: {node['html']}: {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
