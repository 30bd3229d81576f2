"""The launcher on another site's page, in a real browser, with each way to sign in.

The site is at *.localhost and the chat at 127.0.0.1, which are different sites for a browser, with the
same rules for cookies and storage as any other two. `browser/standin.js` describes the limits of these
tests; besides, key events inside OpenAI's own frame cannot be tested.
"""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import jwt
import pytest
from chromium import Visitor, website
from conftest import clean_environment
from launching import HOSTILE, Projects, ShopPage, shop, shop_headers
from looking import look
from playwright.sync_api import Browser, Page, Route, expect
from serving import Application, free_port

pytestmark = pytest.mark.slow

PASSWORD = "correct horse staples"
JWT_SECRET = "a secret for tests, of thirty-two bytes and some"

TOKENS = """
window.asked = [];
window.chatAuth = { getToken: ({ refresh }) => { asked.push(refresh); return TOKEN; } };
"""

# Functions of the site; `window.done` records their calls.
BRINGS = """
window.done = [];
window.chatPage = {
  headerActions: { leftAction: { icon: "home", onClick: () => done.push("home") } },
  actions: { pick: (payload, itemId) => done.push([payload, itemId]) },
  entities: { showComposerMenu: true, onTagSearch: async (query) => [{ id: "1", title: query }] },
  commands: { onSelect: async ({ id }) => { done.push(id); } },
};
"""

Visit = Callable[..., ShopPage]


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with website(shop, headers=shop_headers) as port:
        yield port


@pytest.fixture(scope="module")
def projects(
    template: Path, tmp_path_factory: pytest.TempPathFactory, port: int
) -> Iterator[Projects]:
    origins = f"http://shop.localhost:{port}"
    projects = Projects(template, tmp_path_factory.mktemp("launcher"), origins)

    yield projects

    projects.close()


@pytest.fixture(scope="module")
def anonymous(projects: Projects) -> Application:
    return projects.serve("anonymous", agent_tools="notes,page", is_bundled=True)


@pytest.fixture
def visit(browser: Browser, port: int) -> Iterator[Visit]:
    """A new visitor of the site. Errors in the console fail the test."""
    visitors = []

    def visit(application: Application, site: str = "shop", **query: str) -> ShopPage:
        visitors.append(Visitor(browser.new_context(locale="en-US", reduced_motion="reduce")))
        page = ShopPage.of(visitors[-1], f"http://{site}.localhost:{port}", application)
        return page.goto(**query) if query.pop("refused", "") == "" else page

    yield visit

    for visitor in visitors:
        visitor.context.close()
    assert [line for visitor in visitors for line in visitor.complaints()] == []


@pytest.fixture
def page(visit: Visit, anonymous: Application) -> ShopPage:
    return visit(anonymous)


def test_little_is_loaded_before_it_is_opened(page: ShopPage) -> None:
    expect(page.button).to_be_visible()
    expect(page.button).to_have_attribute("aria-expanded", "false")
    expect(page.panel).to_be_hidden()

    sent = [request for request in page.tab.requests if f":{page.port}/" in request.url]
    script, module = [request.url.partition(f":{page.port}/")[2] for request in sent]
    assert script == "embed.js"
    assert re.fullmatch(r"static/launcher/main\.[0-9a-f]{16}\.js", module)
    sizes = [request.sizes() for request in sent]
    assert sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes) < 20_000


def test_the_next_page_of_the_site_asks_for_nothing_again(
    browser: Browser, anonymous: Application, port: int
) -> None:
    """In a browser without routes, which would switch off its cache."""
    context = browser.new_context()
    page = context.new_page()
    asked = []
    for path in ("", "next"):
        before = anonymous.log.count("GET /")
        page.goto(f"http://shop.localhost:{port}/{path}?port={anonymous.port}")
        expect(page.locator("chat-launcher")).to_be_attached()
        asked.append(anonymous.log.count("GET /") - before)
    context.close()

    assert asked == [2, 0]


def test_it_opens_and_chats(page: ShopPage) -> None:
    page.open()

    expect(page.button).to_have_attribute("aria-expanded", "true")
    expect(page.panel).to_be_visible()
    expect(page.composer).to_be_focused()
    page.say("Remember that our launch is on Friday")
    expect(page.answers).to_contain_text(re.compile(r"Saved as note \d+\."))


def test_the_frames_cookie_is_partitioned(page: ShopPage) -> None:
    page.open().say("hello")

    [cookie] = page.tab.page.context.cookies()
    assert cookie["name"] == "anonymous_user"
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "None")
    assert cookie["partitionKey"] == "http://shop.localhost"


def test_escape_closes_it_inside_and_outside_of_the_frame(page: ShopPage) -> None:
    page.open()
    expect(page.composer).to_be_focused()
    page.tab.page.keyboard.press("Escape")
    expect(page.panel).to_be_hidden()
    expect(page.button).to_be_focused()
    expect(page.button).to_have_attribute("aria-expanded", "false")

    page.tab.page.keyboard.press("Enter")
    expect(page.composer).to_be_focused()
    page.host.get_by_role("button", name="Close").focus()
    page.tab.page.keyboard.press("Escape")
    expect(page.panel).to_be_hidden()
    expect(page.button).to_be_focused()


def test_escape_uncovers_what_has_the_focus_behind_it(page: ShopPage) -> None:
    ask = page.tab.page.get_by_role("button", name="Ask us")
    page.open()
    ask.focus()
    page.tab.page.keyboard.press("Escape")  # the panel does not cover it
    expect(page.panel).to_be_visible()

    ask.evaluate(
        "button => { button.style.cssText = 'position: fixed; right: 80px; bottom: 200px'; }"
    )
    page.tab.page.keyboard.press("Escape")

    expect(page.panel).to_be_hidden()
    expect(ask).to_be_focused()


def test_the_focus_is_restored(page: ShopPage) -> None:
    ask = page.tab.page.get_by_role("button", name="Ask us")
    ask.focus()
    page.tab.page.keyboard.press("Enter")
    page.when_ready()
    expect(page.composer).to_be_focused()

    page.host.get_by_role("button", name="Close").click()

    expect(ask).to_be_focused()


def test_it_remembers_its_state_and_its_thread(page: ShopPage) -> None:
    page.open().say("hello")

    page.tab.page.reload()

    page.when_ready()
    expect(page.messages).to_have_text(["hello"])
    assert page.tab.page.evaluate("document.activeElement === document.body")
    page.button.click()
    page.tab.page.reload()
    expect(page.button).to_be_visible()
    expect(page.panel).to_be_hidden()


def test_on_a_small_screen_it_covers_the_page(page: ShopPage) -> None:
    page.tab.page.set_viewport_size({"width": 380, "height": 700})
    page.open()

    assert page.panel.bounding_box() == {"x": 0, "y": 0, "width": 380, "height": 700}
    assert page.panel.evaluate("panel => panel.matches(':modal')")
    page.tab.page.set_viewport_size({"width": 1000, "height": 700})
    beside = page.host.locator("dialog[open]:not(:modal)")
    expect(beside).to_be_visible()
    page.tab.page.set_viewport_size({"width": 380, "height": 700})
    expect(page.panel).to_have_css("width", "380px")
    page.tab.page.keyboard.press("Escape")
    expect(page.panel).to_be_hidden()

    page.open()
    page.tab.page.reload()
    expect(page.button).to_be_visible()
    expect(page.panel).to_be_hidden()


def test_including_it_twice_adds_it_once(visit: Visit, anonymous: Application) -> None:
    page = visit(anonymous, times="2")
    page.open()

    expect(page.host).to_have_count(1)
    expect(page.iframe).to_have_count(1)


REPLACEMENTS = {
    "Turbo and Astro": """() => {
        const next = document.createElement("body");
        next.innerHTML = "<h1>Garden tables</h1>";
        document.body.replaceWith(next);
    }""",
    "htmx": "() => { document.body.innerHTML = '<h1>Garden tables</h1>'; }",
}


def test_it_and_its_conversation_survive_a_page_that_replaces_its_body(page: ShopPage) -> None:
    page.open().say("hello")
    page.frame.evaluate("window.isTheSame = true")

    for replace in REPLACEMENTS.values():
        page.tab.page.evaluate(replace)
        expect(page.tab.page.get_by_role("heading", name="Garden tables")).to_be_visible()
        expect(page.panel).to_be_visible()
        assert page.frame.evaluate("window.isTheSame")
    page.say("hello again")
    page.host.get_by_role("button", name="Close").click()
    expect(page.panel).to_be_hidden()
    page.button.click()
    expect(page.composer).to_be_focused()


def test_it_comes_back_to_a_page_that_removes_everything(page: ShopPage) -> None:
    page.open().say("hello")

    page.tab.page.evaluate("""() => {
        const next = document.createElement("html");
        next.innerHTML = "<body><h1>Garden tables</h1></body>";
        document.documentElement.replaceWith(next);
    }""")

    expect(page.panel).to_be_visible()
    # Where browsers block the frame's storage, its address alone names the thread.
    expect(page.iframe).to_have_attribute("src", re.compile(r"[?&]thread=thr_"))
    page.when_ready()
    expect(page.messages).to_have_text(["hello"])
    page.tab.page.evaluate("document.querySelector('chat-launcher').remove()")
    expect(page.panel).to_be_visible()
    page.when_ready().say("hello again")


def test_a_transform_on_the_body_does_not_move_it(visit: Visit, anonymous: Application) -> None:
    plain = visit(anonymous)
    page = visit(
        anonymous,
        styles="""
            body { transform: translate(80px, 80px); position: relative; z-index: 1000; height: 2000px; flex: 0 0 100vw }
            html { display: flex; gap: 90px }
        """,
    )

    assert page.button.bounding_box() == plain.button.bounding_box()
    plain.open()
    page.open()  # the body does not cover the button
    assert page.panel.bounding_box() == plain.panel.bounding_box()


def test_its_tag_may_be_a_module(visit: Visit, anonymous: Application) -> None:
    page = visit(anonymous, attributes='type="module" data-color-scheme="dark"', times="2").open()

    expect(page.host).to_have_count(1)
    expect(page.panel).to_have_css("background-color", "rgb(22, 24, 29)")


# --- A chat that does not open ------------------------------------------------------------------

REJECTED = """(calls) => {
    const began = Date.now();
    return Promise.all(calls.map((call) =>
        window.chatLauncher[call]("hello").then(() => null, ({ message }) => [message, Date.now() - began]),
    ));
}"""


def test_the_panel_says_that_the_server_is_away_and_opens_later(page: ShopPage) -> None:
    tab = page.tab.page
    tab.route("**/embed?*", lambda route: route.abort("connectionrefused"))

    page.button.click()

    expect(page.host.get_by_role("alert")).to_contain_text("The chat did not open")
    retry = page.host.get_by_role("button", name="Try again")
    expect(retry).to_be_focused()
    look(tab)
    assert tab.evaluate("look.small()") == []
    link = page.host.get_by_role("link", name="Open it in a window of its own")
    expect(link).to_have_attribute("href", f"http://127.0.0.1:{page.port}/")
    page.tab.expect_complaint("did not open. Its server may be away")
    for message, milliseconds in tab.evaluate(REJECTED, ["open", "newThread", "send"]):
        assert message == "the chat did not open"
        assert milliseconds < 30_000
    page.tab.complaints.clear()
    retry.click()
    expect(page.host.get_by_role("alert")).to_be_hidden()
    expect(page.host.get_by_role("alert")).to_be_visible()

    tab.unroute("**/embed?*")
    page.host.get_by_role("button", name="Close").click()
    page.open().say("hello")
    expect(page.host.get_by_role("alert")).to_have_count(0)
    page.tab.complaints.clear()


def test_a_server_that_does_not_answer_is_said_too(page: ShopPage) -> None:
    tab = page.tab.page
    held: list[Route] = []
    tab.clock.install()
    tab.reload()
    tab.route("**/embed?*", lambda route: held.append(route))
    tab.evaluate(
        "window.chatLauncher.send('hello').catch(({ message }) => { document.title = message; })"
    )
    expect(page.panel).to_be_visible()

    tab.clock.fast_forward(20_000)

    expect(page.host.get_by_role("alert")).to_contain_text("The chat did not open")
    expect(tab).to_have_title("the chat did not open")
    page.tab.expect_complaint("did not open")
    for route in held:  # a late answer is not too late
        route.continue_()
    page.when_ready()
    expect(page.host.get_by_role("alert")).to_have_count(0)


def test_a_chat_that_is_blank_in_its_frame_rejects_promises(page: ShopPage) -> None:
    """The page in the frame explains why; see test_browser.py."""
    tab = page.tab.page
    tab.clock.install()
    tab.reload()
    tab.route("**/chatkit.js", lambda route: route.abort())
    tab.evaluate(
        "window.chatLauncher.send('hello').catch(({ message }) => { document.title = message; })"
    )
    expect(page.inside.locator("#problem")).to_contain_text("The chat could not be loaded")

    tab.clock.fast_forward(30_000)

    expect(tab).to_have_title("the chat did not open within 20 seconds")
    page.tab.expect_complaint("chatkit.js")


def test_a_server_that_goes_away_while_it_is_open(page: ShopPage) -> None:
    page.open()
    page.tab.page.route("**/embed?*", lambda route: route.abort("connectionrefused"))

    page.frame.evaluate("setTimeout(() => location.reload())")

    expect(page.host.get_by_role("alert")).to_contain_text("The chat did not open")
    page.tab.complaints.clear()


def test_on_a_page_with_an_embedder_policy_the_panel_says_why(
    visit: Visit, anonymous: Application
) -> None:
    # The policy does not keep the button away, because the script allows every site to load it.
    page = visit(anonymous, policy="require-corp")
    page.button.click()

    expect(page.host.get_by_role("alert")).to_contain_text(
        "this page may not be allowed to show it"
    )
    page.tab.expect_complaint("must not send Cross-Origin-Embedder-Policy")
    page.tab.complaints.clear()


def test_in_a_frame_of_a_site_that_is_not_named_the_panel_says_why(
    visit: Visit, anonymous: Application
) -> None:
    page = visit(anonymous, refused="yes")
    tab = page.tab.page
    tab.set_content(f'<iframe width=600 height=600 src="{page.url}/?port={page.port}"></iframe>')
    host = tab.frame_locator("iframe").locator("chat-launcher")
    host.get_by_role("button", name="Chat", exact=True).click()

    expect(host.get_by_role("alert")).to_contain_text("this page may not be allowed to show it")
    page.tab.expect_complaint("ALLOWED_ORIGINS must also name the pages around it")
    page.tab.complaints.clear()


def test_a_launcher_that_could_not_be_loaded_is_loaded_later(
    visit: Visit, anonymous: Application
) -> None:
    page = visit(anonymous, refused="yes")
    tab = page.tab.page
    module = re.compile(r"/static/launcher/(launcher|main)[^/]*\.js")
    tab.route(module, lambda route: route.abort())
    tab.goto(f"{page.url}/?port={page.port}")
    page.tab.expect_complaint("is not shown")

    [[message, milliseconds]] = tab.evaluate(REJECTED, ["open"])
    assert "launcher" in message
    assert milliseconds < 30_000

    tab.unroute(module)
    tab.evaluate("window.chatLauncher.open()")
    page.when_ready().say("hello")
    page.tab.complaints.clear()


def test_styles_are_isolated(visit: Visit, anonymous: Application) -> None:
    plain, page = visit(anonymous), visit(anonymous, styles=HOSTILE)
    looks = """button => {
        const { display, backgroundColor, letterSpacing, margin, width } = getComputedStyle(button);
        return [display, backgroundColor, letterSpacing, margin, width];
    }"""
    assert page.button.evaluate(looks) == plain.button.evaluate(looks)
    assert page.button.bounding_box() == plain.button.bounding_box()
    page.open()
    plain.open()
    assert page.panel.evaluate(looks) == plain.panel.evaluate(looks)
    assert page.iframe.bounding_box() == plain.iframe.bounding_box()
    root = "document.documentElement"
    assert (
        page.tab.page.evaluate(f"getComputedStyle({root}).getPropertyValue('--chat-accent')") == ""
    )
    assert (
        page.tab.page.evaluate("document.styleSheets.length + document.adoptedStyleSheets.length")
        == 1
    )


def test_button_panel_and_chat_follow_the_systems_scheme(page: ShopPage) -> None:
    ground = "panel => getComputedStyle(panel).backgroundColor"
    page.open()
    expect(page.inside.locator("openai-chatkit")).to_have_attribute("data-scheme", "light")
    light = page.panel.evaluate(ground)

    page.tab.page.emulate_media(color_scheme="dark")

    expect(page.inside.locator("openai-chatkit")).to_have_attribute("data-scheme", "dark")
    assert page.panel.evaluate(ground) != light


def test_the_site_can_set_the_dark_scheme(visit: Visit, anonymous: Application) -> None:
    page = visit(anonymous, attributes='data-color-scheme="dark"').open()

    expect(page.inside.locator("openai-chatkit")).to_have_attribute("data-scheme", "dark")
    expect(page.panel).to_have_css("background-color", "rgb(22, 24, 29)")


def test_it_respects_reduced_motion(page: ShopPage) -> None:
    page.open()
    expect(page.panel).to_have_css("animation-name", "none")
    page.tab.page.emulate_media(reduced_motion="no-preference")
    expect(page.panel).to_have_css("animation-name", "rise")


def test_it_uses_the_language_of_the_page(visit: Visit, anonymous: Application) -> None:
    page = visit(anonymous, lang="de")
    page.button.click()

    expect(page.host.get_by_role("button", name="Schließen")).to_be_visible()
    expect(page.inside.get_by_role("heading", name="Hallo! Wie kann ich helfen?")).to_be_visible()


def test_the_page_around_it_controls_it_and_gets_events(page: ShopPage) -> None:
    tab = page.tab.page
    tab.evaluate("""() => {
        const { dataset } = document.body;
        dataset.heard = "";
        for (const name of ["open", "ready", "response.start", "response.end", "close"]) {
            addEventListener(`chat-launcher.${name}`, () => { dataset.heard += `${name} `; });
        }
    }""")
    tab.evaluate("window.chatLauncher.setContext({ order: '7' })")
    tab.evaluate("window.chatLauncher.send('what is this?')")

    expect(page.messages).to_have_text(["what is this?"])
    expect(page.panel).to_be_visible()
    heard = "open ready response.start response.end "
    expect(tab.locator("body")).to_have_attribute("data-heard", heard)
    [request] = page.tab.sent("threads.create")
    assert request["metadata"] == {"page": {"order": "7"}}
    tab.evaluate("window.chatLauncher.newThread()")
    expect(page.messages).to_have_count(0)
    tab.evaluate("window.chatLauncher.toggle()")
    expect(page.panel).to_be_hidden()
    expect(tab.locator("body")).to_have_attribute("data-heard", f"{heard}close ")


def test_tools_read_the_page_around_it(page: ShopPage) -> None:
    page.open().say("what am I looking at?")

    expect(page.answers.last).to_contain_text("A shop")
    expect(page.answers.last).to_contain_text("shop.localhost")


def test_functions_of_the_site_are_available_in_the_frame(
    visit: Visit, anonymous: Application
) -> None:
    page = visit(anonymous, script=BRINGS).open()

    page.inside.get_by_role("button", name="home").click()
    found = page.frame.evaluate("""async () => {
        const { entities, commands, widgets } = document.querySelector("openai-chatkit").options;
        await widgets.onAction({ type: "pick", payload: { n: 1 } }, { id: "item" });
        await commands.onSelect({ id: "discount" });
        return [commands.enabled, entities.showComposerMenu, await entities.onTagSearch("oak")];
    }""")

    assert found == [True, True, [{"id": "1", "title": "oak"}]]
    assert page.tab.page.evaluate("window.done") == ["home", [{"n": 1}, "item"], "discount"]


def test_it_does_not_appear_on_other_sites(visit: Visit, anonymous: Application, port: int) -> None:
    page = visit(anonymous, site="other", refused="yes")
    tab = page.tab.page

    tab.goto(f"http://other.localhost:{port}/?port={page.port}")
    expect(tab.get_by_role("heading", name="Garden chairs")).to_be_visible()
    tab.wait_for_load_state()

    expect(page.host).to_have_count(0)
    assert tab.evaluate("window.chatLauncher") is None
    assert len(page.tab.complaints) == 1
    page.tab.expect_complaint(rf"ALLOWED_ORIGINS do not name http://other\.localhost:{port}")

    home = f"http://127.0.0.1:{page.port}"
    module = f"import('{home}/static/launcher/launcher.js').then(() => 'loaded', () => 'refused')"
    assert tab.evaluate(module) == "refused"
    page.tab.expect_complaint("CORS policy|ERR_FAILED")
    named = f"{home}/embed?host=http://shop.localhost:{port}"
    for address in (f"{home}/", f"{home}/embed", named):
        tab.evaluate(
            """address => new Promise((done) => {
                const frame = document.createElement("iframe");
                frame.onload = done;
                frame.src = address;
                document.body.append(frame);
            })""",
            address,
        )
        page.tab.expect_complaint("frame-ancestors")
    assert [frame.url for frame in tab.frames[1:] if frame.url.startswith(home)] == []


def test_a_frame_on_another_site_sends_it_no_messages(
    visit: Visit, anonymous: Application, port: int
) -> None:
    """The address contains an allowed site, so the browser does not deliver messages to this one."""
    page = visit(anonymous)
    home = f"http://127.0.0.1:{page.port}"
    tab = page.tab.page
    page.tab.allow_complaint("does not match the recipient window's origin")
    tab.evaluate(
        """address => new Promise((done) => {
            window.heard = [];
            addEventListener("message", (event) => heard.push(event.data));
            const frame = document.createElement("iframe");
            frame.onload = done;
            frame.src = address;
            document.body.append(frame);
        })""",
        f"{home}/embed?host={home}",
    )

    page.frame.evaluate("parent.postMessage('to anybody', '*')")
    tab.evaluate(
        """() => new Promise((done) => {
            if (heard.length > 0) done();
            addEventListener("message", done);
        })"""
    )

    assert tab.evaluate("window.heard") == ["to anybody"]


# --- Accessibility ----------------------------------------------------------------------------


@pytest.mark.parametrize("width", [1280, 380])
def test_the_page_around_it_stays_accessible(page: ShopPage, axe: str, width: int) -> None:
    page.tab.page.set_viewport_size({"width": width, "height": 800})
    page.tab.page.evaluate(axe)
    assert violations(page.tab.page) == []
    page.tab.page.emulate_media(color_scheme="dark")
    assert violations(page.tab.page) == []
    page.open()
    assert violations(page.tab.page) == []
    page.tab.page.emulate_media(color_scheme="light")
    assert violations(page.tab.page) == []


def test_the_page_in_it_is_accessible(page: ShopPage, axe: str) -> None:
    page.open()
    page.frame.evaluate(axe)
    found = page.frame.evaluate("axe.run({ exclude: [['openai-chatkit']] })")
    assert [(v["id"], v["nodes"][0]["html"]) for v in found["violations"]] == []


def violations(page: Page) -> list[str]:
    """The violations that axe-core finds on the page, without the frame, which has its own test."""
    found = page.evaluate("axe.run({ iframes: false })")
    return [
        f"{violation['id']}: {node['html']}: {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


# --- With each way to sign in -----------------------------------------------------------------


def test_with_jwt_the_page_around_it_provides_tokens(projects: Projects, visit: Visit) -> None:
    server = projects.serve("jwt", JWT_SECRET=JWT_SECRET)
    token = token_for("ada")
    page = visit(server, script=TOKENS.replace("TOKEN", f"'{token}'"))

    page.open().say("hello")

    assert set(page.tab.page.evaluate("window.asked")) == {False}
    [request] = [r for r in page.tab.requests if r.url.endswith("/chatkit") and r.post_data][-1:]
    assert request.headers["authorization"] == f"Bearer {token}"
    assert page.tab.page.context.cookies() == []

    nobody = visit(server)
    nobody.button.click()
    expect(nobody.inside.get_by_text("You are not signed in")).to_be_visible()

    refused = visit(server, script=TOKENS.replace("TOKEN", "refresh ? '' : 'worn out'"))
    refused.button.click()
    expect(refused.inside.get_by_text("You are not signed in")).to_be_visible()


def test_with_a_password_people_sign_in_in_a_window(projects: Projects, visit: Visit) -> None:
    server = projects.serve("password")
    page = visit(server)
    page.button.click()
    sign_in = page.inside.get_by_role("button", name="Sign in")

    with page.tab.page.expect_popup() as opened:
        sign_in.click()
    window = opened.value
    window.get_by_role("link", name="Create an account").click()
    window.get_by_label("E-mail or user name").fill("ada@example.com")
    window.get_by_label("Password").fill(PASSWORD)
    with window.expect_event("close"):
        window.get_by_role("button", name="Create the account").click()

    page.when_ready().say("hello")
    expect(page.inside.get_by_role("link", name="ada@example.com")).to_be_visible()
    cookies = page.tab.page.context.cookies()
    assert {cookie.get("partitionKey") for cookie in cookies if "session" in cookie["name"]} == {
        None,
        "http://shop.localhost",
    }

    page.inside.get_by_role("button", name="Sign out").click()
    expect(sign_in).to_be_visible()
    # They are still signed in in the window, and need no password.
    with page.tab.page.expect_popup():
        sign_in.click()
    page.when_ready()
    expect(page.messages).to_have_text(["hello"])


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)],
        env=clean_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    discovery = f"http://localhost:{port}/.well-known/openid-configuration"
    deadline = time.monotonic() + 60
    while not answers(discovery):
        assert time.monotonic() < deadline, "the provider did not start"
        time.sleep(0.1)

    yield discovery

    process.terminate()
    process.wait()


def test_with_a_provider_people_sign_in_there(
    projects: Projects, visit: Visit, provider: str
) -> None:
    server = projects.serve(
        "oidc",
        OIDC_DISCOVERY_URL=provider,
        OIDC_CLIENT_ID="chat",
        OIDC_CLIENT_SECRET="any",
    )
    page = visit(server)
    page.button.click()
    with page.tab.page.expect_popup() as opened:
        page.inside.get_by_role("button", name="Sign in").click()
    window = opened.value
    window.get_by_placeholder("sub").fill("ada")
    with window.expect_event("close"):
        window.get_by_role("button", name="Authorize").click()

    page.when_ready().say("hello")
    page.inside.get_by_role("button", name="Sign out").click()
    expect(page.inside.get_by_role("button", name="Sign in")).to_be_visible()


def test_with_a_proxy_the_frame_says_that_the_user_is_not_signed_in(
    projects: Projects, visit: Visit
) -> None:
    server = projects.serve("proxy", PROXY_TRUSTED_ADDRESSES="127.0.0.1")
    page = visit(server)
    page.button.click()
    expect(page.inside.get_by_text("You are not signed in")).to_be_visible()

    signed_in = visit(server, refused="yes")
    signed_in.tab.page.route(
        f"http://127.0.0.1:{server.port}/**",
        lambda route: route.continue_(headers=route.request.headers | {"X-Forwarded-User": "ada"}),
    )
    signed_in.goto().open().say("hello")


def answers(url: str) -> bool:
    try:
        return httpx2.get(url, timeout=5).status_code == 200
    except httpx2.TransportError:
        return False


def token_for(user: str) -> str:
    return jwt.encode({"sub": user, "exp": int(time.time()) + 3600}, JWT_SECRET, algorithm="HS256")
