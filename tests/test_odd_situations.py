"""The page and the launcher in odd situations: any accent, forced colours, large text, little room, paper,
no scripts, no storage, and coming back.

One project has the page and the launcher. `browser/standin.js` describes the limits of these tests: they
see what is around OpenAI's element, not the element.
"""

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chromium import (
    OTHER_ORIGINS,
    SECONDS,
    ChatPage,
    Json,
    Visitor,
    website,
)
from conftest import BakedProject, generate_with_our_environment
from launching import ShopPage, shop
from looking import (
    ACCENTS,
    PICTURE,
    SCHEMES,
    SCREENS,
    SPACED,
    faint_in_any_look,
    look,
    measured,
    pages,
    set_font_size,
    too_faint,
)
from playwright.sync_api import Browser, Page, expect
from serving import START, Application

pytestmark = pytest.mark.slow

SLOW = "hello [demo:slow]" + " and so on" * 5

HEBREW = {
    "app/page": {"Opening the chat…": "נפתח…", "Dark colours": "צבעים כהים"},
    "engine/page": {"The server does not answer": "השרת אינו עונה", "Try again": "לנסות שוב"},
}

# Everything that has a colour of its own, shown at once.
SHOW_ALL = """() => {
    const find = (selector) => document.querySelector(selector);
    find("#account").hidden = false;
    find("#account a").textContent = "ada.lovelace@example.com";
    find("#account a").href = "account";
    find("#notice").dataset.open = "";
    find("#notice p").textContent = "One message a minute is enough.";
    find("#notice [role=timer]").textContent = "0:42";
    find("#problem").innerHTML = '<h2>The chat did not open</h2><p>Text</p><button>Try again</button>' +
        '<details open><summary>More</summary><a href="https://example.com">A link</a></details>';
}"""

# Of the page, and for each control of its ring.
PAGE_CONTRASTS = """(accent) => {
    const root = document.documentElement;
    root.style.setProperty("--chat-accent", accent);
    const find = (selector) => document.querySelector(selector);
    const texts = [".masthead h1", ".banner", ".banner strong", ".banner code", "#account a", "#account button",
        "#notice p", "#notice [role=timer]", "#notice button", "#problem h2", "#problem p", "#problem button",
        "#problem summary", "#problem a"];
    const controls = ["#account a", "#account button", "#scheme", "#notice button", "#problem button", "#problem a"];
    const found = texts.map((text) => [text, look.contrast(find(text), "color"), TEXT]);
    found.push(["the scheme's picture", look.contrast(find("#scheme"), "backgroundColor", { pseudo: "::before" }), PICTURE]);
    found.push(["a button's border", look.contrast(find("#account button"), "borderTopColor", { around: true }), PICTURE]);
    for (const control of controls) {
        find(control).focus({ focusVisible: true });
        found.push([`the ring of ${control}`, look.contrast(find(control), "outlineColor", { around: true }), PICTURE]);
    }
    root.style.removeProperty("--chat-accent");
    return found;
}"""

# Listeners of the scheme are called in the frame after the change.
FRAME = """new Promise((resolve) => {
    requestAnimationFrame(() => requestAnimationFrame(resolve));
})"""

LAUNCHER_CONTRASTS = """() => {
    const host = document.querySelector("chat-launcher");
    const find = (selector) => host.shadowRoot.querySelector(selector);
    const button = find("[data-part=button]");
    const surface = getComputedStyle(find("dialog")).backgroundColor;
    const ground = (color) => { // of the button and of its line, on the surface of the chat
        const box = document.createElement("p");
        box.style.cssText = `background: ${surface}; color: ${color}`;
        document.body.append(box);
        const found = look.contrast(box, "color");
        box.remove();
        return found;
    };
    const { backgroundColor, borderTopColor } = getComputedStyle(button);
    return [
        ["picture on the button", look.contrast(button, "color"), PICTURE],
        ["the button's shape", Math.max(ground(backgroundColor), ground(borderTopColor)), PICTURE],
    ];
}"""

Visit = Callable[..., Visitor]
OpenShop = Callable[..., ShopPage]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with website(shop) as port:
        yield port


@pytest.fixture(scope="module")
def server(
    browser: Browser, template: Path, tmp_path_factory: pytest.TempPathFactory, port: int
) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("odd")
    project = generate_with_our_environment(template, folder, launcher="yes", languages="de")
    for place, texts in HEBREW.items():
        add_language(project, place, "he", texts)
    environment = {
        "DATABASE_URL": project.run("python", "-c", START).splitlines()[-1],
        "SECRET_KEY": "s" * 64,
        "DEMO_DELAY_SECONDS": "0.006",
        "ADDRESS_TURNS_PER_MINUTE": "1000",
        "ON_DISCONNECT": "finish",
        "ALLOWED_ORIGINS": f"http://shop.localhost:{port}",
    }
    BakedProject(project.path, environment=environment).run("python", "-m", "app", "migrate")
    server = Application(project, environment, folder)
    server.start()

    yield server

    server.stop()
    project.run("python", "-m", "app", "db", "stop")


def add_language(project: BakedProject, place: str, language: str, texts: dict[str, str]) -> None:
    head = f'msgid ""\nmsgstr ""\n"Language: {language}\\n"\n"Content-Type: text/plain; charset=UTF-8\\n"\n'
    entries = [f'msgid "{text}"\nmsgstr "{translated}"\n' for text, translated in texts.items()]
    file = project.path / place / "locales" / f"{language}.po"
    file.write_text("\n".join([head, *entries]), encoding="utf-8")


@pytest.fixture
def chat(visit: Visit, server: Application) -> ChatPage:
    return visit(server).tab()


@pytest.fixture
def open_shop(browser: Browser, port: int, server: Application) -> Iterator[OpenShop]:
    """A new visitor of the site with the launcher. Errors in the console fail the test."""
    visitors = []

    def open_shop(**query: str) -> ShopPage:
        visitors.append(Visitor(browser.new_context(locale="en-US", reduced_motion="reduce")))
        page = ShopPage.of(visitors[-1], f"http://shop.localhost:{port}", server)
        return page.goto(**query)

    yield open_shop

    for visitor in visitors:
        visitor.context.close()
    assert [line for visitor in visitors for line in visitor.complaints()] == []


# --- Colours ------------------------------------------------------------------------------------


def test_any_accent_is_readable_on_the_page(chat: ChatPage) -> None:
    chat.page.emulate_media(reduced_motion="reduce")
    chat.open()
    look(chat.page)
    chat.page.evaluate(SHOW_ALL)

    assert faint_in_any_look(chat.page, PAGE_CONTRASTS) == {}


def test_the_accent_keeps_its_hue(chat: ChatPage) -> None:
    """A link is not just the ink: the test above would pass with it."""
    chat.open()
    for scheme in SCHEMES:
        chat.page.emulate_media(color_scheme=scheme)
        color = "getComputedStyle(document.querySelector('.banner strong')).color"
        red, green, blue = map(float, re.findall(r"[\d.]+", chat.page.evaluate(color))[-3:])
        assert blue > green > red


def test_any_accent_is_readable_on_the_launcher(open_shop: OpenShop) -> None:
    page = open_shop()
    tab = page.tab.page
    look(tab)

    faint = {}
    for scheme, opposite in (SCHEMES, SCHEMES[::-1]):
        for accent in ACCENTS:
            tab.emulate_media(color_scheme=opposite)
            tab.evaluate(FRAME)
            page.host.evaluate(
                "(host, accent) => host.style.setProperty('--chat-accent', accent)", accent
            )
            tab.emulate_media(color_scheme=scheme)
            tab.evaluate(FRAME)
            if lines := too_faint(tab.evaluate(measured(LAUNCHER_CONTRASTS))):
                faint[scheme, accent] = lines

    assert faint == {}


def test_forced_colours_show_every_control(chat: ChatPage, open_shop: OpenShop) -> None:
    chat.page.emulate_media(forced_colors="active")
    chat.open()
    look(chat.page)
    chat.page.evaluate(SHOW_ALL)
    edges = """(controls) => controls.map((control) => [
        control.id || control.textContent || control.dataset.part,
        control.localName === "button" ? parseFloat(getComputedStyle(control).borderTopWidth) : 1,
        look.contrast(control, "borderTopColor"),
    ])"""
    page = open_shop()
    page.tab.page.emulate_media(forced_colors="active")
    look(page.tab.page)
    page.open()

    shown = chat.page.locator("#scheme, #account button, #notice button, #problem button")
    launched = page.host.locator("button")
    for controls, count in ((shown, 4), (launched, 2)):
        found = controls.evaluate_all(edges)
        assert len(found) == count
        assert [control for control in found if control[1] < 1 or control[2] < PICTURE] == []
    picture = "look.contrast(document.querySelector('#scheme'), 'backgroundColor', { pseudo: '::before' })"
    assert chat.page.evaluate(picture) > PICTURE
    icons = launched.locator("path").evaluate_all(
        "paths => paths.map((path) => look.contrast(path, 'stroke'))"
    )
    assert min(icons) > PICTURE


# --- Large text and little room -----------------------------------------------------------------


def test_the_page_has_the_readers_font_size(chat: ChatPage, open_shop: OpenShop) -> None:
    chat.page.set_viewport_size({"width": 1280, "height": 800})
    set_font_size(chat.page, 32)
    chat.open()
    look(chat.page)
    chat.page.evaluate(SHOW_ALL)

    expect(chat.page.locator("body")).to_have_css("font-size", "32px")
    size = "document.querySelector('openai-chatkit').options.theme.typography.baseSize"
    assert chat.page.evaluate(size) == 18  # the largest that the element has
    assert chat.page.evaluate("look.clipped()") == []

    # Also where the site has given its root another size.
    page = open_shop(styles="html { font-size: 10px }")
    set_font_size(page.tab.page, 32)
    page.tab.page.reload()
    page.open()
    look(page.tab.page)
    expect(page.host.locator("p")).to_have_css("font-size", "32px")
    assert page.tab.page.evaluate("look.clipped()") == []


def test_text_spacing_cuts_nothing_off(chat: ChatPage, open_shop: OpenShop) -> None:
    chat.page.set_viewport_size({"width": 380, "height": 700})
    chat.open()
    look(chat.page)
    chat.page.evaluate(SHOW_ALL)
    title = "A name as long as the names of some applications are"
    chat.page.evaluate("title => { document.querySelector('h1').textContent = title; }", title)
    chat.page.evaluate(f"({SPACED})(document)")
    assert chat.page.evaluate("look.clipped()") == []
    assert not chat.page.evaluate("look.isScrollable()")

    page = open_shop().open()
    look(page.tab.page)
    page.host.evaluate(f"(host) => ({SPACED})(host.shadowRoot)")
    assert page.tab.page.evaluate("look.clipped()") == []


def test_magnified_and_low_screens_show_everything(chat: ChatPage) -> None:
    chat.open()
    look(chat.page)
    for width, height in SCREENS:
        chat.page.set_viewport_size({"width": width, "height": height})
        box = chat.page.locator(".chat").bounding_box()
        assert box
        assert box["height"] >= 180, (width, height)
        assert not chat.page.evaluate("look.isScrollable()"), (width, height)
        assert chat.page.evaluate("look.clipped()") == [], (width, height)

    chat.page.evaluate(SHOW_ALL)
    assert chat.page.evaluate("look.small()") == []
    chat.page.set_viewport_size({"width": 320, "height": 256})
    chat.page.evaluate("document.querySelector('.chat').scrollIntoView({ block: 'end' })")
    box = chat.page.locator(".chat").bounding_box()
    assert box
    assert box["y"] + box["height"] <= 257
    assert not chat.page.evaluate("look.isScrollable()")
    assert chat.page.evaluate("look.clipped()") == []


def test_on_a_phone_on_its_side_the_launcher_covers_the_page(open_shop: OpenShop) -> None:
    page = open_shop()
    page.tab.page.set_viewport_size({"width": 844, "height": 340})
    page.open()

    assert page.panel.bounding_box() == {"x": 0, "y": 0, "width": 844, "height": 340}
    assert page.panel.evaluate("panel => panel.matches(':modal')")
    frame = page.iframe.bounding_box()
    assert frame
    assert frame["height"] > 270
    look(page.tab.page)
    assert page.tab.page.evaluate("look.small()") == []
    assert (
        page.frame.evaluate("document.querySelector('.chat').getBoundingClientRect().height") > 230
    )


def test_nothing_is_under_the_home_indicator_or_the_notch(
    chat: ChatPage, open_shop: OpenShop
) -> None:
    chat.open()
    page = open_shop().open()
    for width, height in ((390, 844), (844, 390)):
        for tab in (chat.page, page.tab.page):
            tab.set_viewport_size({"width": width, "height": height})
            insets = {"top": 20, "left": 44, "right": 44, "bottom": 34}
            tab.context.new_cdp_session(tab).send(
                "Emulation.setSafeAreaInsetsOverride", {"insets": insets}
            )
        for box in (
            chat.page.locator(".chat").bounding_box(),
            page.iframe.bounding_box(),
            page.host.get_by_role("button", name="Close").bounding_box(),
            chat.page.locator(".masthead h1").bounding_box(),
        ):
            assert box
            assert box["x"] >= 44
            assert box["y"] >= 20
            assert box["x"] + box["width"] <= width - 44
            assert box["y"] + box["height"] <= height - 34


# --- Languages ----------------------------------------------------------------------------------


def test_a_language_from_right_to_left(visit: Visit, server: Application) -> None:
    chat = visit(server, locale="he-IL").tab().open()
    root = chat.page.locator("html")
    expect(root).to_have_attribute("dir", "rtl")
    expect(root).to_have_attribute("lang", "he")

    title, scheme = (
        chat.page.locator("h1").bounding_box(),
        chat.page.locator("#scheme").bounding_box(),
    )
    assert title
    assert scheme
    assert title["x"] > scheme["x"]
    look(chat.page)
    assert not chat.page.evaluate("look.isScrollable()")
    # What has no translation is marked by nothing, because page and element are in one language.
    expect(chat.page.get_by_role("button", name="צבעים כהים")).to_be_visible()


def test_the_launcher_on_a_page_from_right_to_left(open_shop: OpenShop) -> None:
    page = open_shop(lang="ar", script="document.documentElement.dir = 'rtl'")

    box = page.button.bounding_box()
    assert box
    assert box["x"] < 100
    # There are no Arabic texts, and screen readers do not read English ones with an Arabic voice.
    expect(page.host).to_have_attribute("lang", "en")
    page.open()
    expect(page.inside.locator("html")).to_have_attribute("lang", "en")
    panel = page.panel.bounding_box()
    assert panel
    assert panel["x"] < 100
    assert page.frame.evaluate("document.querySelector('openai-chatkit').options.locale") == "ar"


# --- Paper, scripts, storage, connections -------------------------------------------------------


def test_on_paper_everything_is_black_on_white(chat: ChatPage, open_shop: OpenShop) -> None:
    chat.page.emulate_media(color_scheme="dark")
    chat.open().say("hello")
    chat.page.evaluate(SHOW_ALL)
    look(chat.page)
    chat.page.emulate_media(media="print", color_scheme="dark")

    expect(chat.page.locator("body")).to_have_css("color", "rgb(0, 0, 0)")
    expect(chat.page.locator("body")).to_have_css("background-color", "rgba(0, 0, 0, 0)")
    for hidden in ("#scheme", "#account", ".banner", "#notice", "#problem button"):
        expect(chat.page.locator(hidden)).to_be_hidden()
    expect(chat.page.locator("h1")).to_be_visible()
    chat.page.evaluate("document.querySelector('#problem').replaceChildren()")
    assert pages(chat.page) == 1

    page = open_shop().open()
    page.tab.page.emulate_media(media="print")
    expect(page.button).to_be_hidden()
    expect(page.panel).to_be_hidden()


def test_without_scripts_the_page_says_what_it_needs(
    browser: Browser, server: Application, port: int
) -> None:
    context = browser.new_context(base_url=server.url, locale="de-DE", java_script_enabled=False)
    context.route(OTHER_ORIGINS, lambda route: route.abort())
    page = context.new_page()
    page.goto("/")

    needed = page.locator("noscript p")
    expect(needed).to_have_text(re.compile("Dieser Chat braucht JavaScript."))
    expect(needed).to_be_visible()
    expect(page.get_by_text("Opening the chat…")).to_be_hidden()
    expect(page.locator(".chat")).to_be_hidden()
    expect(page.locator("#scheme")).to_be_hidden()
    page.goto(f"http://shop.localhost:{port}/?port={server.port}")
    expect(page.get_by_role("heading", name="Garden chairs")).to_be_visible()
    expect(page.locator("chat-launcher")).to_have_count(0)
    context.close()


# As Chromium does with "Block all cookies".
BLOCKED = """for (const name of ["localStorage", "sessionStorage"]) {
    Object.defineProperty(window, name, { get() { throw new DOMException("denied", "SecurityError"); } });
}"""
FULL = """for (const name of ["localStorage", "sessionStorage"]) {
    Storage.prototype.setItem = () => { throw new DOMException("full", "QuotaExceededError"); };
}"""


def test_blocked_storage_stops_nothing(
    visit: Visit, server: Application, open_shop: OpenShop
) -> None:
    visitor = visit(server)
    visitor.context.add_init_script(BLOCKED)
    chat = visitor.tab().open().say("hello")
    chat.button("Dark colours").click()
    expect(chat.page.locator("openai-chatkit")).to_have_attribute("data-scheme", "dark")
    chat.say("hello again")
    [first], [second] = chat.sent("threads.create"), chat.sent("threads.add_user_message")
    assert first["session_id"] == second["session_id"]

    page = open_shop()
    page.tab.page.context.add_init_script(BLOCKED)
    page.tab.page.reload()
    page.open().say("hello")
    page.host.get_by_role("button", name="Close").click()
    expect(page.panel).to_be_hidden()


def test_a_full_storage_stops_nothing(visit: Visit, server: Application) -> None:
    visitor = visit(server)
    before = visitor.tab().open().say("hello")
    thread = before.events("thread.change")[0]["threadId"]
    visitor.context.add_init_script(FULL)

    chat = visitor.tab().open()
    expect(chat.page).to_have_url(f"/?thread={thread}")  # what was stored before is still read
    chat.button("New chat").click()
    chat.say("another")
    chat.button("Dark colours").click()
    expect(chat.page).not_to_have_url(f"/?thread={thread}")
    expect(chat.page).to_have_url(re.compile(r"\?thread=thr"))


def test_coming_back_online_needs_no_reload(chat: ChatPage) -> None:
    chat.open().say("hello")
    chat.page.context.set_offline(True)
    chat.send("are you there?")
    expect(chat.problem).to_contain_text("The server does not answer")

    chat.page.context.set_offline(False)

    expect(chat.problem).to_be_empty()
    chat.say("hello again")
    chat.expect_complaint("ERR_INTERNET_DISCONNECTED|Failed to fetch")


# Chromium's own emulation of being offline refuses new requests, and lets old ones go on.
BREAK_OFF = """{
    const real = window.fetch;
    window.fetch = async (...request) => {
        const response = await real(...request);
        if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) return response;
        const reader = response.body.getReader();
        const body = new ReadableStream({
            start: (stream) => addEventListener("offline", () => {
                stream.error(new TypeError("network error"));
                reader.cancel();
            }),
            async pull(stream) {
                const { done, value } = await reader.read();
                if (done) stream.close();
                else stream.enqueue(value);
            },
        });
        return new Response(body, response);
    };
}"""


def test_an_answer_that_breaks_off_offline_is_completed_online(
    visit: Visit, server: Application
) -> None:
    """With `ON_DISCONNECT=finish`; otherwise the answer is stopped."""
    visitor = visit(server)
    visitor.context.add_init_script(BREAK_OFF)
    chat = visitor.tab().open()
    chat.send(SLOW)
    expect(chat.answers).to_contain_text("You said")

    chat.page.context.set_offline(True)
    chat.until("!window.chat.isBusy")
    expect(chat.answers).not_to_contain_text("Remember that our launch")
    chat.page.context.set_offline(False)

    expect(chat.answers).to_contain_text("Remember that our launch is on Friday")
    expect(chat.answers).to_have_count(1)
    chat.complaints.clear()  # of the failed requests


def test_a_page_that_could_not_open_opens_when_the_browser_is_online(chat: ChatPage) -> None:
    chat.page.route("**/config.json*", lambda route: route.abort("internetdisconnected"), times=1)
    chat.page.goto("/")
    expect(chat.problem).to_contain_text("The server does not answer")

    chat.page.context.set_offline(True)
    chat.page.context.set_offline(False)

    chat.when_ready()
    chat.complaints.clear()


# --- The back/forward cache ---------------------------------------------------------------------


def leave_and_return(page: Page, elsewhere: str) -> None:
    """Go to another page and back; the page must come from the cache, with its variables."""
    page.evaluate("window.isTheSame = true")
    page.goto(elsewhere)
    page.wait_for_timeout(300)  # the answer goes on meanwhile
    page.go_back(wait_until="commit")
    assert page.evaluate("window.isTheSame"), "the page was loaded again"


def test_a_page_restored_in_mid_answer_follows_it_to_its_end(
    caching: Browser, server: Application
) -> None:
    visitor = Visitor(caching.new_context(base_url=server.url, locale="en-US"))
    chat = visitor.tab().open()
    chat.send(SLOW)
    expect(chat.answers).to_contain_text("You said")
    expect(chat.answers).not_to_contain_text("Remember that our launch")

    leave_and_return(chat.page, "/healthz")

    expect(chat.answers).to_contain_text("Remember that our launch is on Friday")
    expect(chat.answers).to_have_count(1)
    expect(chat.page.get_by_text("Something went wrong.")).to_be_hidden()
    chat.say("hello again")
    expect(chat.answers).to_have_count(2)
    visitor.context.close()


def test_a_site_restored_in_mid_answer_follows_it_to_its_end(
    caching: Browser, server: Application, port: int
) -> None:
    visitor = Visitor(caching.new_context(locale="en-US", reduced_motion="reduce"))
    page = ShopPage.of(visitor, f"http://shop.localhost:{port}", server).goto().open()
    page.composer.fill(SLOW)
    page.inside.get_by_role("button", name="Send", exact=True).click()
    expect(page.answers).to_contain_text("You said")
    expect(page.answers).not_to_contain_text("Remember that our launch")

    leave_and_return(page.tab.page, f"http://shop.localhost:{port}/other?port=0")

    frame = RestoredFrame(caching, page.tab.page)
    frame.until(
        "texts('assistant_message').at(-1)?.includes('Remember that our launch is on Friday')"
    )
    frame.until("!chat.isBusy")
    assert frame.evaluate("texts('assistant_message').length") == 1
    assert "Something went wrong." not in frame.evaluate("root().textContent")
    page.tab.page.evaluate("window.chatLauncher.send('hello again')")
    frame.until("texts('assistant_message').length === 2")
    visitor.context.close()


class RestoredFrame:
    """The launcher's frame after the cache: Playwright does not know it any more, its browser does."""

    DEFINED = """
        var root = () => document.querySelector("openai-chatkit").shadowRoot;
        var texts = (type) => [...root().querySelectorAll(`[data-type=${type}]`)].map((n) => n.textContent);
    """

    def __init__(self, browser: Browser, page: Page) -> None:
        self._page = page
        self._replies: list[Json] = []
        self._session = browser.new_browser_cdp_session()
        self._session.on("Target.receivedMessageFromTarget", self._received)
        targets = self._session.send("Target.getTargets")["targetInfos"]
        [target] = [target for target in targets if "/embed?" in target["url"]]
        named = {"targetId": target["targetId"], "flatten": False}
        self._id = self._session.send("Target.attachToTarget", named)["sessionId"]
        self.evaluate(self.DEFINED)

    def _received(self, event: Json) -> None:
        self._replies.append(json.loads(event["message"]))

    def evaluate(self, expression: str) -> Any:
        params = {"expression": expression, "returnByValue": True}
        message = json.dumps({"id": 1, "method": "Runtime.evaluate", "params": params})
        self._session.send(
            "Target.sendMessageToTarget", {"sessionId": self._id, "message": message}
        )
        while not self._replies:
            self._page.wait_for_timeout(20)
        return self._replies.pop()["result"]["result"].get("value")

    def until(self, expression: str) -> None:
        deadline = time.monotonic() + SECONDS
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < deadline, expression
            self._page.wait_for_timeout(50)
