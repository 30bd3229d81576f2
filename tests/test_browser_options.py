"""Options in a real browser: ways to sign in, files, cards, dictation.

Three projects share one database, each with its own table prefix, and use the environment of these tests
instead of their own.
"""

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import jwt
import pytest
from aiosmtpd.controller import Controller
from chromium import ChatPage, Scheme, Visitor, violations
from conftest import REPO, BakedProject, generate_with_our_environment
from looking import PICTURE, SCREENS, SPACED, faint_in_any_look, look, set_font_size
from playwright.sync_api import Browser, FilePayload, Locator, expect
from serving import START, Application, answers

pytestmark = pytest.mark.slow

SECRET = "a secret of the tests, long enough for HS256"
PASSWORD = "correct horse battery staple"
SETTINGS = {"DEMO_DELAY_SECONDS": "0.002", "SECRET_KEY": SECRET, "SIGN_INS_PER_ADDRESS": "1000"}

Visit = Callable[..., Visitor]
Make = Callable[..., Application]
AddressOf = Callable[[Application], str]


class Mails:
    """The received emails of a mail server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.arrived: list[Message] = []

    async def handle_DATA(self, _server: object, _session: object, envelope: Any) -> str:
        self.arrived.append(message_from_bytes(envelope.content))
        return "250 OK"


@pytest.fixture(scope="module")
def address_of() -> AddressOf:
    """A function for the address of an application's page: its own."""
    return lambda application: application.url


@pytest.fixture(scope="module")
def make(
    template: Path, tmp_path_factory: pytest.TempPathFactory, address_of: AddressOf
) -> Iterator[Make]:
    """Serves a project with these answers on the shared database."""
    servers: list[Application] = []
    urls: list[str] = []

    def make(answers_given: dict[str, str], **settings: str) -> Application:
        folder = tmp_path_factory.mktemp("made")
        project = generate_with_our_environment(
            template, folder, table_prefix=f"{answers_given['auth_style']}_", **answers_given
        )
        if not urls:
            urls.append(project.run("python", "-c", START).splitlines()[-1])
            servers.append(Application(project, {}, folder))
        environment = SETTINGS | {"DATABASE_URL": urls[0]} | settings
        BakedProject(project.path, environment=environment).run("python", "-m", "app", "migrate")
        servers.append(Application(project, environment, folder))
        servers[-1].start()
        servers[-1].url = address_of(servers[-1])
        return servers[-1]

    yield make

    for server in servers[1:]:
        server.stop()
    if servers:
        servers[0].project.run("python", "-m", "app", "db", "stop")


@pytest.fixture(scope="module")
def mails() -> Iterator[Mails]:
    mails = Mails(free_port())
    controller = Controller(mails, hostname="127.0.0.1", port=mails.port)
    controller.start()
    yield mails
    controller.stop()


@pytest.fixture(scope="module")
def everything(make: Make, mails: Mails) -> Application:
    """A project with accounts, files in a folder, dictation, and tools with visible results."""
    return make(
        {
            "auth_style": "password",
            "agent_tools": "chart,email,page,documents",
            "attachments": "local",
            "dictation": "yes",
            "languages": "de,ja",
        },
        EMAIL_HOST="127.0.0.1",
        EMAIL_PORT=str(mails.port),
        EMAIL_SECURITY="none",
        EMAIL_SENDER="chat@example.org",
        EMAIL_RECIPIENT_DOMAINS="example.com",
        SIGN_UP="open",
    )


@pytest.fixture(scope="module")
def somebody(everything: Application) -> dict[str, Any]:
    """The cookies of a signed-in user."""
    return {"cookies": signed_up(everything, "somebody"), "origins": []}


def signed_up(application: Application, name: str) -> list[Any]:
    """The cookies of a new user."""
    with httpx2.Client(base_url=application.url, follow_redirects=True) as client:
        page = client.get("/sign-up").text
        token = re.search(r'name="form_token" type="hidden" value="(\w+)"', page)
        assert token
        form = {"name": name, "password": PASSWORD, "form_token": token[1]}
        client.post("/sign-up", data=form).raise_for_status()
        return [{"name": n, "value": v, "url": application.url} for n, v in client.cookies.items()]


@pytest.fixture
def member(visit: Visit, everything: Application, somebody: dict[str, Any]) -> ChatPage:
    visitor = visit(everything)
    visitor.context.add_cookies(somebody["cookies"])
    return visitor.tab().open()


# --- Accounts -----------------------------------------------------------------------------------


def fill(chat: ChatPage, **fields: str) -> None:
    for label, text in fields.items():
        chat.page.get_by_label(label.replace("_", " "), exact=True).fill(text)


def test_sign_up_sign_in_and_change_of_password(visit: Visit, everything: Application) -> None:
    chat = visit(everything).tab()
    name = {"E-mail or user name": f"ada{time.monotonic_ns()}"}

    # Without a session, the page redirects to sign-in, which links to sign-up.
    chat.page.goto("/?thread=thr_of_hers")
    expect(chat.page).to_have_url(re.compile(r"/sign-in\?next="))
    chat.page.get_by_role("link", name="Create an account").click()
    fill(chat, **name, Password=PASSWORD)
    chat.button("Create the account").click()
    chat.when_ready().expect_complaint("404")  # another user's thread is requested once
    chat.say("hello")
    expect(chat.page.locator("#account a")).to_have_text(name["E-mail or user name"])

    # Sign out, fail with a wrong password, and return to the conversation with the right one.
    chat.button("Sign out").click()
    expect(chat.page).to_have_url(re.compile("/sign-in"))
    fill(chat, **name, Password="something else entirely")
    with chat.page.expect_response(lambda response: response.status == 401):
        chat.button("Sign in").click()
    expect(chat.page.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    chat.expect_complaint("401")
    fill(chat, Password=PASSWORD)
    chat.button("Sign in").click()
    chat.when_ready()
    expect(chat.messages).to_have_text(["hello"])

    # After a change, the old password is refused.
    chat.page.locator("#account a").click()
    fill(chat, Current_password=PASSWORD, New_password=f"{PASSWORD} two")
    chat.button("Change the password").click()
    expect(chat.page.get_by_role("status")).to_contain_text("Your password is changed.")
    chat.page.get_by_role("link", name="Back to the chat").click()
    chat.when_ready()
    chat.button("Sign out").click()
    fill(chat, **name, Password=PASSWORD)
    chat.button("Sign in").click()
    expect(chat.page.get_by_role("alert")).to_be_visible()
    chat.expect_complaint("401")
    fill(chat, Password=f"{PASSWORD} two")
    chat.button("Sign in").click()
    chat.when_ready()


def test_the_pages_of_accounts_use_the_browsers_language(
    visit: Visit, everything: Application
) -> None:
    chat = visit(everything, locale="ja-JP").tab()

    chat.page.goto("/")

    expect(chat.page.get_by_role("heading", name="ログイン")).to_be_visible()
    expect(chat.page.locator("html")).to_have_attribute("lang", "ja")


def test_a_session_that_ends_while_the_chat_is_open(
    member: ChatPage, visit: Visit, everything: Application
) -> None:
    member.page.context.clear_cookies()

    member.send("who am I?")

    expect(member.problem).to_contain_text("You are not signed in")
    member.expect_complaint("401")


# What a page shows at the moment in which the browser restores it.
RECORD_RETURN = """
addEventListener("pageshow", ({ persisted }) => {
    const { visibility } = getComputedStyle(document.querySelector("openai-chatkit"));
    sessionStorage.setItem("returned", JSON.stringify([persisted, visibility]));
});
"""


@pytest.mark.parametrize("next_user", ["nobody", "somebody else", "the same user"])
def test_a_page_restored_after_signing_out_shows_nothing(
    caching: Browser, everything: Application, next_user: str
) -> None:
    visitor = Visitor(caching.new_context(base_url=everything.url, locale="en-US"))
    visitor.context.add_cookies(signed_up(everything, f"first-{uuid4().hex[:8]}"))
    chat = visitor.tab().open().say("a secret")
    chat.page.evaluate(RECORD_RETURN)

    if next_user == "the same user":
        chat.page.goto("/healthz")
    else:
        chat.button("Sign out").click()
        expect(chat.page.get_by_role("heading", name="Sign in")).to_be_visible()
    if next_user == "somebody else":
        visitor.context.add_cookies(signed_up(everything, f"second-{uuid4().hex[:8]}"))
    chat.page.go_back(wait_until="commit")

    if next_user == "the same user":
        expect(chat.messages).to_have_text(["a secret"])
        expect(chat.composer).to_be_visible()
    elif next_user == "nobody":
        expect(chat.page.get_by_role("heading", name="Sign in")).to_be_visible()
    else:
        expect(chat.page.get_by_role("heading", name="Hello! How can I help?")).to_be_visible()
        expect(chat.messages).to_have_count(0)
    returned = chat.page.evaluate("sessionStorage.getItem('returned')")
    assert json.loads(returned) == [True, "hidden"]
    visitor.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_of_accounts_are_accessible(
    visit: Visit, everything: Application, somebody: dict[str, Any], axe: str, scheme: Scheme
) -> None:
    visitor = visit(everything)
    chat = visitor.tab()
    chat.page.emulate_media(color_scheme=scheme)
    for path in ("/sign-in", "/sign-up"):
        chat.page.goto(path)
        assert violations(chat, axe) == []
    fill(chat, **{"E-mail or user name": "nobody", "Password": "12345678"})
    chat.button("Create the account").click()
    expect(chat.page.get_by_role("alert")).to_be_visible()
    assert violations(chat, axe) == []
    chat.expect_complaint("422")
    visitor.context.add_cookies(somebody["cookies"])
    chat.page.goto("/account")
    expect(chat.page.get_by_role("heading", name="Change the password")).to_be_visible()
    assert violations(chat, axe) == []


ACCOUNT_CONTRASTS = """(accent) => {
    document.documentElement.style.setProperty("--chat-accent", accent);
    const find = (selector) => document.querySelector(selector);
    const found = [".account h2", ".account label", ".account .hint", ".refusal", ".account section button",
        ".account > p", ".account > p a"].map((text) => [text, look.contrast(find(text), "color"), TEXT]);
    for (const input of ["#name", "#password"]) {
        const border = () => look.contrast(find(input), "borderTopColor", { around: true });
        document.activeElement.blur();
        found.push([`the border of ${input}`, border(), PICTURE]);
        find(input).focus();
        found.push([`the focused border of ${input}`, border(), PICTURE]);
        found.push([`the ring of ${input}`, look.contrast(find(input), "outlineColor", { around: true }), PICTURE]);
    }
    return found;
}"""


def refused_sign_up(visit: Visit, everything: Application) -> ChatPage:
    chat = visit(everything).tab()
    chat.page.goto("/sign-up")
    fill(chat, **{"E-mail or user name": "nobody", "Password": "12345678"})
    chat.button("Create the account").click()
    expect(chat.page.get_by_role("alert")).to_be_visible()
    chat.expect_complaint("422")
    return chat


def test_the_pages_of_accounts_show_everything_in_odd_situations(
    visit: Visit, everything: Application
) -> None:
    chat = refused_sign_up(visit, everything)
    look(chat.page)
    assert faint_in_any_look(chat.page, ACCOUNT_CONTRASTS) == {}

    chat.page.emulate_media(forced_colors="active")
    button = chat.button("Create the account")
    assert button.evaluate("button => look.contrast(button, 'borderTopColor')") > PICTURE
    chat.page.emulate_media(forced_colors="none")

    for width, height in SCREENS:
        chat.page.set_viewport_size({"width": width, "height": height})
        assert not chat.page.evaluate("look.isScrollable()"), (width, height)
        assert chat.page.evaluate("look.clipped()") == [], (width, height)
    set_font_size(chat.page, 32)
    assert chat.page.evaluate("look.small()") == []
    chat.page.evaluate(f"({SPACED})(document)")
    chat.page.set_viewport_size({"width": 380, "height": 700})
    assert not chat.page.evaluate("look.isScrollable()")
    assert chat.page.evaluate("look.clipped()") == []

    chat.page.emulate_media(media="print", color_scheme="dark")
    expect(chat.page.locator("h2")).to_have_css("color", "rgb(0, 0, 0)")
    expect(button).to_be_hidden()


def test_a_refusal_is_said_to_a_screen_reader(visit: Visit, everything: Application) -> None:
    weak = "This password is among the first that anybody would guess."
    chat = refused_sign_up(visit, everything)
    password = chat.page.get_by_label("Password")
    expect(chat.page).to_have_title(re.compile(rf"^{weak} · Create an account · "))
    expect(password).to_be_focused()
    expect(password).to_have_attribute("aria-invalid", "true")
    expect(password).to_have_accessible_description(re.compile(f"^{weak} At least 8 characters"))
    expect(chat.page.get_by_label("E-mail or user name")).not_to_have_attribute(
        "aria-invalid", "true"
    )


def test_accounts_need_cookies_and_no_scripts(
    browser: Browser, visit: Visit, everything: Application
) -> None:
    chat = visit(everything).tab()
    chat.page.goto("/sign-in")
    fill(chat, **{"E-mail or user name": "nobody", "Password": PASSWORD})
    chat.page.context.clear_cookies()
    chat.button("Sign in").click()
    expect(chat.page.get_by_role("alert")).to_contain_text("Please allow cookies for this site")
    chat.expect_complaint("403")

    context = browser.new_context(base_url=everything.url, java_script_enabled=False)
    plain = ChatPage(context.new_page())
    plain.page.goto("/sign-up")
    fill(plain, **{"E-mail or user name": f"ada{time.monotonic_ns()}", "Password": PASSWORD})
    plain.button("Create the account").click()
    expect(plain.page.locator("noscript p")).to_be_visible()
    context.close()


# --- Files --------------------------------------------------------------------------------------


def attach(chat: ChatPage, name: str, mime_type: str, content: bytes) -> None:
    file = FilePayload(name=name, mimeType=mime_type, buffer=content)
    chat.page.get_by_label("Attach").set_input_files(file)


def picture() -> bytes:
    return (REPO / "docs" / "pictures" / "page.png").read_bytes()


def has_loaded(image: Locator) -> bool:
    loaded: bool = image.evaluate("image => image.decode().then(() => image.naturalWidth > 0)")
    return loaded


def test_a_picture_is_attached_shown_and_still_there_after_a_reload(member: ChatPage) -> None:
    attach(member, "page.png", "image/png", picture())
    preview = member.page.get_by_role("img", name="page.png")
    expect(preview).to_be_visible()
    assert has_loaded(preview)

    member.say("what is this?")

    expect(member.messages).to_contain_text(["page.png"])
    member.reload()
    assert has_loaded(member.messages.get_by_role("img", name="page.png"))


def test_a_file_of_another_type_is_refused_with_a_notice(member: ChatPage) -> None:
    attach(member, "harmless.png", "image/png", b"MZ\x90\x00\x03" + bytes(200))

    expect(member.notice).to_contain_text("Files of this kind are not taken. Possible are: .png")
    member.expect_complaint("415")
    member.expect_complaint("chatkit.error FileAttachmentError: Files of this kind are not taken")
    expect(member.page.get_by_role("img", name="harmless.png")).to_have_count(0)


# --- Tools that show something, and the page's own --------------------------------------------------


def test_a_chart_is_drawn_and_stays(member: ChatPage) -> None:
    member.say("Draw a line chart of Mon 3, Tue 5, Wed 4")

    chart = member.page.locator("[data-component=Chart]")
    expect(chart).to_contain_text("Tue")
    member.reload()
    expect(chart).to_contain_text("Tue")


def test_an_email_is_sent_with_one_click(member: ChatPage, mails: Mails) -> None:
    member.say("Draft an email to grace@example.com: We launch on Friday")
    card = member.page.locator("[data-component=Card]")
    expect(card).to_contain_text("To grace@example.com")
    assert mails.arrived == []

    with member.answered("threads.sync_custom_action"):
        card.get_by_role("button", name="Send").click()

    expect(card).to_contain_text("Sent")
    expect(card.get_by_role("button")).to_have_count(0)
    [mail] = mails.arrived
    assert (mail["To"], mail["Subject"]) == ("grace@example.com", "A demo")
    member.reload()
    expect(card).to_contain_text("Sent")


def test_the_assistant_reads_the_page_and_makes_it_dark(member: ChatPage) -> None:
    with member.next_event("thread.change"):
        # Typing in the composer, which is in another document in reality, would clear the selection.
        member.page.evaluate("""
            getSelection().selectAllChildren(document.querySelector("h1"));
            window.chat.send("what am I looking at?");
        """)
    expect(member.answers.last).to_contain_text("My Chat App")
    [result] = member.sent("threads.add_client_tool_output")
    assert result["params"]["result"]["selection"] == "My Chat App"

    member.say("turn the page dark")

    expect(member.page.locator("html")).to_have_css("color-scheme", "dark")
    expect(member.page.locator("openai-chatkit")).to_have_attribute("data-scheme", "dark")


def test_a_dictation_is_recorded_and_its_refusal_shown(member: ChatPage) -> None:
    member.page.context.grant_permissions(["microphone"])

    with member.answered("input.transcribe", 422):
        member.button("Dictate").click()

    expect(member.notice).to_have_text(
        "The demo model does not listen: dictation needs OPENAI_API_KEY."
    )
    member.expect_complaint("422")


def test_the_site_composes_triggers_actions_and_shows_the_history(member: ChatPage) -> None:
    member.page.evaluate("window.chat.compose({ text: 'Dear all', tool: 'chart' })")
    expect(member.composer).to_have_value("Dear all")
    expect(member.composer).to_be_focused()
    expect(member.page.get_by_label("Tool", exact=True)).to_have_value("chart")

    member.page.evaluate("window.chat.showHistory()")
    expect(member.page.get_by_role("list", name="History")).to_be_visible()
    member.page.evaluate("window.chat.hideHistory()")
    expect(member.composer).to_be_visible()


# --- An OpenID provider, and files in a bucket -----------------------------------------------------


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    port = free_port()
    with running("-m", "oidc_provider_mock", "--port", str(port)):
        url = f"http://localhost:{port}"
        assert answers(f"{url}/jwks")
        yield url


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    port = free_port()
    with running("-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)):
        url = f"http://127.0.0.1:{port}"
        assert answers(f"{url}/moto-api/")
        httpx2.put(f"{url}/files").raise_for_status()
        yield url


@pytest.fixture(scope="module")
def at_provider(make: Make, provider: str, store: str) -> Application:
    return make(
        {"auth_style": "oidc", "agent_tools": "notes", "attachments": "s3"},
        OIDC_DISCOVERY_URL=f"{provider}/.well-known/openid-configuration",
        OIDC_CLIENT_ID="chat",
        OIDC_CLIENT_SECRET="any",
        # The stand-in shows pictures in our page, the real element in its own frame.
        CSP_EXTRA=f"img-src {store}",
        S3_ENDPOINT_URL=store,
        S3_PATH_STYLE="true",
        S3_BUCKET="files",
        S3_ACCESS_KEY_ID="tests",
        S3_SECRET_ACCESS_KEY="tests",
    )


@pytest.fixture
def at_home(visit: Visit, at_provider: Application) -> ChatPage:
    """A page of a user who is signed in at the provider, which asks for a name without a password."""
    chat = visit(at_provider).tab()
    chat.page.route("https://cdn.jsdelivr.net/**", lambda route: route.fulfill(body=""))
    chat.page.goto(at_provider.url.replace("127.0.0.1", "localhost"))
    chat.page.locator("input[name=sub]").fill("ada")
    chat.page.get_by_role("button").first.click()
    return chat.when_ready()


def test_the_provider_signs_in_and_out(at_home: ChatPage) -> None:
    at_home.say("hello")

    at_home.button("Sign out").click()

    at_home.page.wait_for_url(re.compile(r"/signed-out|/oauth2/end_session"))
    at_home.page.goto("/healthz")
    assert not at_home.page.request.get("/config.json").json()["user"]


def test_a_page_around_the_sign_in_is_accessible(
    visit: Visit, at_provider: Application, axe: str
) -> None:
    chat = visit(at_provider).tab()
    chat.page.goto("/signed-out")

    expect(chat.page.get_by_role("heading", name="You are signed out")).to_be_visible()
    assert violations(chat, axe) == []


def test_a_file_is_uploaded_to_the_bucket(at_home: ChatPage, store: str) -> None:
    attach(at_home, "page.png", "image/png", picture())
    expect(at_home.page.get_by_text("page.png")).to_be_visible()
    uploads = [request for request in at_home.requests if request.url.startswith(store)]
    assert {request.method for request in uploads} >= {"PUT"}

    at_home.say("what is this?")

    expect(at_home.messages).to_contain_text(["page.png"])
    at_home.reload()
    assert has_loaded(at_home.messages.get_by_role("img", name="page.png"))


# --- Tokens of the site around it -------------------------------------------------------------------


@pytest.fixture(scope="module")
def with_tokens(make: Make) -> Application:
    return make({"auth_style": "jwt", "agent_tools": "notes"}, JWT_SECRET=SECRET)


def token(user: str, seconds: int) -> str:
    return jwt.encode({"sub": user, "exp": int(time.time()) + seconds}, SECRET, algorithm="HS256")


def signed_in(visitor: Visitor, first: str | None, renewed: str | None) -> ChatPage:
    """A site with these tokens, which counts the requests for a new one."""
    visitor.context.add_init_script(f"""
        window.asked = [];
        window.chatAuth = {{
          getToken: async ({{ refresh }}) => {{
            window.asked.push(refresh);
            return window.asked.includes(true) ? {json.dumps(renewed)} : {json.dumps(first)};
          }},
        }};
    """)
    return visitor.tab()


def test_the_sites_token_signs_in(visit: Visit, with_tokens: Application) -> None:
    chat = signed_in(visit(with_tokens), token("ada", 600), None).open().say("hello")

    expect(chat.answers).to_have_count(1)
    assert True not in chat.page.evaluate("window.asked")


def test_a_token_that_has_expired_is_renewed_once(visit: Visit, with_tokens: Application) -> None:
    chat = signed_in(visit(with_tokens), token("ada", -600), token("ada", 600)).open()

    chat.say("hello")

    expect(chat.answers).to_have_count(1)
    assert chat.page.evaluate("window.asked.filter(Boolean).length") == 1
    chat.expect_complaint("401")


def test_a_site_where_nobody_is_signed_in(visit: Visit, with_tokens: Application) -> None:
    chat = signed_in(visit(with_tokens), None, None)

    chat.page.goto("/")

    expect(chat.problem).to_contain_text("You are not signed in")
    expect(chat.problem).to_contain_text("window.chatAuth.getToken")


# --- Processes ----------------------------------------------------------------------------------


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def running(*command: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        process.wait()
