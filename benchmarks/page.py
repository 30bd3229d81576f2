"""Page loads in Chromium: the time to `setOptions` over a network with latency, and the requests of
a launcher on another site's page.

Chromium emulates the latency: each request waits that long for its response. Connections are those of
HTTP/1.1, six for a host. The element's script comes from another origin and may be cached, as the CDN's.
"""

import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from benchmarks.data import load
from benchmarks.history import FEW_THREADS
from benchmarks.results import Goal, Report, Result
from benchmarks.stage import (
    LAUNCHER_PROJECT,
    PROJECT_SERVER,
    bundle_page,
    render_project,
    serving,
)

# Milliseconds of latency, and the most that a first and a second visit may take.
LIMITS = {100: (450, 320), 300: (1_100, 750)}
VISITS = ("first visit", "second visit")

# The most requests and bytes that the launcher adds to a page before it is opened.
MAX_REQUESTS = 3
MAX_BYTES = 20_000

FLAGS = ("--no-sandbox", "--disable-gpu", "--disable-background-networking")

SCRIPT = """
customElements.define("openai-chatkit", class extends HTMLElement {
  setOptions() { window.optionsAt ??= performance.now(); }
});
"""
EMPTY_PAGE = """<!doctype html>
<script src="/chatkit.js" async></script>
<openai-chatkit></openai-chatkit>
<script>
customElements.whenDefined("openai-chatkit").then(() => {
  document.querySelector("openai-chatkit").setOptions({});
});
</script>
"""
SHOP = '<!doctype html><title>A shop</title><script src="{chat}/embed.js" defer></script>'

# Creates a thread, which the next visit opens.
START_THREAD = """async () => {
  const { user } = await (await fetch("config.json")).json();
  const content = [{ type: "input_text", text: "hello" }];
  const input = { content, attachments: [], inference_options: {} };
  const response = await fetch("chatkit", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ type: "threads.create", params: { input } }),
  });
  const [id] = (await response.text()).match(/thr_[\\w-]+/);
  localStorage.setItem(`chat-thread:${user}`, id);
}"""


async def first_options(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    """Navigation to `setOptions`, beside what is allowed and beside the element's script alone."""
    if (program := chromium()) is None:
        return
    bundle_page()
    data = await load(url, FEW_THREADS)
    with site({"/": EMPTY_PAGE, "/chatkit.js": SCRIPT}) as empty:
        settings = {"CHATKIT_SCRIPT_URL": f"{empty}/chatkit.js", "DEMO_DELAY_SECONDS": "0"}
        async with launched(program) as browser:
            with serving(PROJECT_SERVER, data.url, **settings) as server:
                ours = f"http://127.0.0.1:{server.port}"
                for latency in LIMITS:
                    await compare(browser, (ours, empty), latency, report, rounds)


async def compare(
    browser: Browser, pages: tuple[str, str], latency: int, report: Report, rounds: int
) -> None:
    ours, empty = pages
    times, alone = [], []
    for round_ in range(-1, rounds):
        visited = await visits(browser, ours, latency, START_THREAD)
        without = await visits(browser, empty, latency, "() => {}")
        if round_ >= 0:  # not in the warm-up round
            times.append(visited)
            alone.append(without)
    for index, visit in enumerate(VISITS):
        took = tuple(round_[index] for round_ in times)
        limit = (float(LIMITS[latency][index]),) * rounds
        name = f"setOptions, {visit}, {latency} ms of latency"
        report(Result(name, "ms", took, limit, "ms allowed", Goal(1, "at most")))
        beside = tuple(round_[index] for round_ in alone)
        report(Result(f"… {visit}, {latency} ms", "ms", took, beside, "the script alone"))


async def visits(browser: Browser, url: str, latency: int, between: str) -> tuple[float, float]:
    """The milliseconds of a first and of a second visit."""
    context = await browser.new_context(locale="en-US")
    first, page = await options_at(context, url, latency)
    await page.evaluate(between)
    await page.close()
    second, _ = await options_at(context, url, latency)
    await context.close()
    return first, second


async def options_at(context: BrowserContext, url: str, latency: int) -> tuple[float, Page]:
    page = await context.new_page()
    await emulate(context, page, latency)
    await page.goto(f"{url}/")
    while not (at := await page.evaluate("window.optionsAt")):
        await page.wait_for_timeout(20)
    milliseconds: float = at
    return milliseconds, page


async def emulate(context: BrowserContext, page: Page, latency: int) -> None:
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")
    conditions = {"offline": False, "downloadThroughput": -1, "uploadThroughput": -1}
    await session.send("Network.emulateNetworkConditions", conditions | {"latency": latency})


async def launcher(url: str, report: Report, *, rounds: int, quick: bool) -> None:
    """Requests and bytes of the launcher on a page of another site, and on the next page of the visit."""
    if (program := chromium()) is None:
        return
    render_project(LAUNCHER_PROJECT, launcher="yes")
    bundle_page(LAUNCHER_PROJECT)
    data = await load(url, FEW_THREADS)
    pages: dict[str, str] = {}
    with site(pages) as shop:
        settings = {"ALLOWED_ORIGINS": shop}
        with serving(PROJECT_SERVER, data.url, LAUNCHER_PROJECT, **settings) as server:
            chat = f"http://127.0.0.1:{server.port}"
            pages |= {"/": SHOP.format(chat=chat), "/next": SHOP.format(chat=chat)}
            async with launched(program) as browser:
                first, next_ = await loads(browser, (f"{shop}/", f"{shop}/next"), chat)
    requests = [size for sizes in (first, next_) for size in sizes.values() if size > 0]
    for name, unit, value, limit in (
        ("requests of the launcher, on two pages", "", len(requests), MAX_REQUESTS),
        ("bytes of the launcher, on two pages", "B", sum(requests), MAX_BYTES),
    ):
        limits = (float(limit),)
        goal = Goal(1, "at most")
        report(Result(name, unit, (float(value),), limits, f"{unit} allowed".strip(), goal))


async def loads(browser: Browser, pages: tuple[str, ...], chat: str) -> list[dict[str, int]]:
    """For each page the chat's URLs that it loaded, and the bytes that came over the network."""
    context = await browser.new_context(locale="en-US")
    loaded = []
    for url in pages:
        page = await context.new_page()
        sizes = await received(context, page, chat)
        await page.goto(url)
        await page.locator("chat-launcher").wait_for(state="attached")
        loaded.append(sizes)
    await context.close()
    return loaded


async def received(context: BrowserContext, page: Page, chat: str) -> dict[str, int]:
    """The bytes of each response of the chat, as they come; 0 for one from the browser's cache."""
    session = await context.new_cdp_session(page)
    await session.send("Network.enable")
    urls: dict[str, str] = {}
    sizes: dict[str, int] = {}

    def requested(event: dict[str, Any]) -> None:
        if event["request"]["url"].startswith(chat):
            urls[event["requestId"]] = event["request"]["url"]

    def finished(event: dict[str, Any]) -> None:
        if event["requestId"] in urls:
            sizes[urls[event["requestId"]]] = int(event["encodedDataLength"])

    session.on("Network.requestWillBeSent", requested)
    session.on("Network.loadingFinished", finished)
    return sizes


def chromium() -> str | None:
    program = shutil.which("chromium-headless-shell") or shutil.which("chromium")
    if program is None:
        print("skipped: Chromium is not installed here")
    return program


@asynccontextmanager
async def launched(program: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        await browser.close()


@contextmanager
def site(pages: dict[str, str]) -> Iterator[str]:
    """A server of these pages and scripts, at this URL; scripts may be cached."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = pages.get(self.path, "").encode()
            is_script = self.path.endswith(".js")
            self.send_response(200 if self.path in pages else 404)
            self.send_header("Content-Type", "text/javascript" if is_script else "text/html")
            self.send_header("Cache-Control", "max-age=3600" if is_script else "no-cache")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
