"""The Next.js page of a generated project: types, build, image, and the browser tests of the plain
page.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
import test_browser as plain
import test_browser_options as options
from chromium import ChatPage, message
from conftest import (
    Bake,
    BakedProject,
    clean_environment,
    generate_with_our_environment,
    lack,
    output_of,
)
from image import arguments_of, command_of, environment_of, read_stages
from playwright.sync_api import expect
from serving import START, Application, free_port

pytestmark = pytest.mark.long

# Fixtures of the plain page, with this module's server.
chat, visitor = plain.chat, plain.visitor

# Projects with other answers and a Next.js server in front, see `address_of`.
make, mails, provider, store = options.make, options.mails, options.provider, options.store
everything, somebody, member = options.everything, options.somebody, options.member
at_provider, at_home, with_tokens = options.at_provider, options.at_home, options.with_tokens

SETTINGS = plain.SETTINGS | {
    "SECRET_KEY": "of these tests, and long enough to be believed",
    "DEMO_DELAY_SECONDS": "0.012",
}
# An answer that takes about a second.
SLOW = message("hello [demo:slow]")


@dataclass
class Site:
    """The Next.js server, and the application behind it."""

    url: str
    backend: Application

    @property
    def log(self) -> str:
        return self.backend.log


@pytest.fixture(scope="session")
def project(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BakedProject]:
    folder = tmp_path_factory.mktemp("nextjs")
    project = generate_with_our_environment(
        template, folder, host_page="nextjs", agent_tools="notes,page", languages="de"
    )

    yield project

    project.run("python", "-m", "app", "db", "stop")


@pytest.fixture(scope="session")
def installed(project: BakedProject) -> BakedProject:
    """The project with the packages of package-lock.json."""
    npm(project, "ci", "--ignore-scripts", "--prefer-offline")
    return project


@pytest.fixture(scope="session")
def database_url(project: BakedProject) -> str:
    return project.run("python", "-c", START).splitlines()[-1]


@pytest.fixture(scope="session")
def backend(
    project: BakedProject, database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Application:
    environment = SETTINGS | {"DATABASE_URL": database_url}
    migrate(project, environment)
    return Application(project, environment, tmp_path_factory.mktemp("log"), port=free_port())


def migrate(project: BakedProject, environment: dict[str, str]) -> None:
    BakedProject(project.path, environment=environment).run("python", "-m", "app", "migrate")


@pytest.fixture(scope="session")
def image(installed: BakedProject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the image, built without Docker."""
    build, final = read_stages(installed.text("nextjs/Dockerfile"))
    *settings, _npm, _run, script = arguments_of(build, "RUN")[-1].split()
    environment = dict(setting.split("=") for setting in settings)
    npm(installed, "run", script, environment=environment)
    folder = tmp_path_factory.mktemp("image")
    for copied in arguments_of(final, "COPY"):
        _stage, source, target = copied.split()
        made = installed.path / source.removeprefix("/srv/")
        shutil.copytree(made, folder / target, symlinks=True, dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def frontend(installed: BakedProject, image: Path, backend: Application) -> Iterator[Site]:
    """The Next.js server, before the application is started."""
    with next_server(installed, image, backend.port) as url:
        yield Site(url, backend)


@pytest.fixture(scope="module")
def address_of(installed: BakedProject, image: Path) -> Iterator[options.AddressOf]:
    """A function for the address of an application's page: a Next.js server in front of it. The build
    does not depend on the project's answers.
    """
    with ExitStack() as servers:
        yield lambda application: servers.enter_context(
            next_server(installed, image, application.port)
        )


@contextmanager
def next_server(project: BakedProject, image: Path, backend_port: int) -> Iterator[str]:
    """Run the image's command with an application on this machine."""
    port = free_port()
    _, final = read_stages(project.text("nextjs/Dockerfile"))
    place = environment_of(final) | {
        "BACKEND_URL": f"http://127.0.0.1:{backend_port}",
        "HOSTNAME": "127.0.0.1",
        "PORT": str(port),
    }
    process = subprocess.Popen(
        command_of(final, "CMD"),
        cwd=image,
        env=clean_environment() | place,
        stdin=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    wait_until_it_answers(url)

    yield url

    process.terminate()
    process.wait()


@pytest.fixture(scope="session")
def server(frontend: Site) -> Iterator[Site]:
    frontend.backend.start()
    yield frontend
    frontend.backend.stop()


def npm(
    project: BakedProject,
    *arguments: str,
    check: bool = True,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> str:
    program = shutil.which("npm")
    if program is None:
        lack("npm is not installed, and Next.js comes from its registry")
    variables = clean_environment() | dict(environment)
    return output_of(program, *arguments, cwd=project.path / "nextjs", env=variables, check=check)


def wait_until_it_answers(url: str) -> None:
    for _ in range(600):
        try:
            httpx2.get(url, timeout=10)
        except httpx2.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"{url} does not answer")


# --- The project ------------------------------------------------------------------------------


def test_versions_are_pinned_and_no_registry_is_named(project: BakedProject) -> None:
    package = json.loads(project.text("nextjs/package.json"))
    lock = json.loads(project.text("nextjs/package-lock.json"))
    pins = package["dependencies"] | package["devDependencies"]

    assert [name for name, version in pins.items() if not re.fullmatch(r"[\d.]+", version)] == []
    assert lock["packages"][""]["dependencies"] == package["dependencies"]
    fetched = [entry for name, entry in lock["packages"].items() if name]
    assert all("integrity" in entry and "resolved" not in entry for entry in fetched)


@pytest.mark.parametrize(
    ("file", "right", "wrong", "complaint"),
    [
        ("nextjs/app/chat.tsx", "", "", ""),
        ("nextjs/app/chat.tsx", "page.stop()", "page.end()", "Property 'end' does not exist"),
        (
            "engine/page/static/js/page.js",
            "busy.whenIdle()",
            "busy.whenIdler()",
            "'whenIdler' does not",
        ),
    ],
)
def test_it_type_checks_with_the_pages_modules(
    installed: BakedProject, file: str, right: str, wrong: str, complaint: str
) -> None:
    source = installed.text(file)
    assert right in source
    try:
        (installed.path / file).write_text(source.replace(right, wrong), encoding="utf-8")
        said = npm(installed, "run", "check", check=False)
    finally:
        (installed.path / file).write_text(source, encoding="utf-8")

    assert complaint in said
    assert ("error TS" in said) is bool(complaint), said


def test_a_build_changes_nothing_that_is_committed(
    image: Path, installed: BakedProject, bake: Bake
) -> None:
    untouched = bake(host_page="nextjs", agent_tools="notes,page", languages="de").files()

    assert {name: installed.text(name) for name in untouched} == untouched


def test_idle_connections_are_kept_longer_than_load_balancers_do(frontend: Site) -> None:
    """Google's load balancer closes them after 600 seconds."""
    kept = httpx2.get(frontend.url).headers["Keep-Alive"]
    assert int(kept.removeprefix("timeout=")) > 600


def test_without_the_application_the_page_says_so(frontend: Site) -> None:
    response = httpx2.get(frontend.url)

    assert response.status_code == 503
    assert "The server does not answer" in response.text
    assert "python3 -m app doctor" in response.text


# --- The page ---------------------------------------------------------------------------------


class Body(HTMLParser):
    """The content of a page's body, without scripts and React's comments."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[object] = []
        self._is_inside = self._is_script = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_script = tag == "script"
        empty = tag == "div" and attrs == [("hidden", "")]
        if self._is_inside and not self._is_script and not empty:
            self.found.append((tag, sorted((name, value or "") for name, value in attrs)))
        self._is_inside = self._is_inside or tag == "body"

    def handle_endtag(self, tag: str) -> None:
        self._is_script = False

    def handle_data(self, data: str) -> None:
        if self._is_inside and not self._is_script and (words := data.split()):
            self.found.append(" ".join(words))


HASH = re.compile(r"\.[0-9a-f]{16}\.")


def joined(found: list[object]) -> list[object]:
    """Join texts that a comment separated."""
    result: list[object] = []
    for part in found:
        if isinstance(part, str) and result and isinstance(result[-1], str):
            result[-1] = f"{result[-1]} {part}"
        else:
            result.append(part)
    return result


def test_it_has_the_markup_of_the_plain_page(server: Site) -> None:
    pages = (httpx2.get(url).text for url in (server.backend.url, server.url))
    # The plain page's pictures have the hash of their content in their names.
    theirs, ours = (joined(Body(HASH.sub(".", page)).found) for page in pages)

    assert theirs
    assert ours == theirs


def test_the_security_headers_are_the_applications_and_a_nonce(server: Site) -> None:
    page, again = httpx2.get(server.url), httpx2.get(server.url)
    application = httpx2.get(server.backend.url).headers
    policy = page.headers["content-security-policy"]
    [nonce] = re.findall(r"'nonce-([\w+/=-]{20,})' ", policy)

    assert policy.replace(f"'nonce-{nonce}' ", "") == application["content-security-policy"]
    assert nonce not in again.headers["content-security-policy"]
    scripts = re.findall(r"<script\b[^>]*>", page.text)
    assert [tag for tag in scripts if " src=" not in tag and f'nonce="{nonce}"' not in tag] == []
    for name in ("permissions-policy", "referrer-policy", "x-content-type-options"):
        assert page.headers[name] == application[name]
    assert "x-powered-by" not in page.headers
    [file] = re.findall(r'src="(/_next/static/[^"]+)"', page.text)[:1]
    assert httpx2.get(server.url + file).headers["x-content-type-options"] == "nosniff"


def test_styles_are_the_plain_pages_and_kept_for_good(server: Site) -> None:
    pages = (httpx2.get(url).text for url in (server.backend.url, server.url))
    theirs, ours = (re.findall(r'rel="stylesheet" href="([^"]+)"', page) for page in pages)

    assert ours == theirs
    for address in ours:
        assert HASH.search(address)
        assert "immutable" in httpx2.get(f"{server.url}/{address}").headers["cache-control"]


def test_streams_are_not_buffered(server: Site) -> None:
    request = {"type": "threads.create", "params": {"input": SLOW}}
    arrivals = []
    with httpx2.Client(base_url=server.url, headers={"Origin": server.url}) as visitor:
        visitor.get("/config.json")
        with visitor.stream("POST", "/chatkit", json=request) as response:
            assert response.status_code == 200
            assert "content-encoding" not in response.headers
            arrivals = [time.monotonic() for _ in response.iter_raw()]

    assert len(arrivals) > 10
    assert arrivals[-1] - arrivals[0] > 1


def test_requests_of_another_site_are_refused(server: Site) -> None:
    with httpx2.Client(base_url=server.url) as visitor:
        visitor.get("/config.json")
        request = {"type": "threads.list", "params": {}}
        ours = visitor.post("/chatkit", json=request, headers={"Origin": server.url})
        other = visitor.post("/chatkit", json=request, headers={"Origin": "http://other.test"})

    assert ours.status_code == 200
    assert other.status_code == 403


def test_modules_of_tools_are_loaded_from_the_application(chat: ChatPage) -> None:
    chat.open().say("What am I looking at?")

    expect(chat.answers).to_contain_text("My Chat App")


def test_the_application_is_unavailable_and_available_again(server: Site, chat: ChatPage) -> None:
    chat.open()
    server.backend.stop()

    with chat.next_event("error"):  # after the element has asked six times
        chat.send("hello?")
    expect(chat.problem).to_contain_text("The server does not answer")
    chat.expect_complaint("502")

    server.backend.start()
    chat.say("hello!")
    expect(chat.problem).to_be_empty()


# --- Development ----------------------------------------------------------------------

BESIDE = """
import sys
from dev.nextjs import beside
with beside("0.0.0.0", int(sys.argv[1])):
    sys.stdin.read()
"""


@pytest.fixture
def in_development(installed: BakedProject, server: Site, tmp_path: Path) -> Iterator[Site]:
    """The Next.js server as started by `python3 -m app dev --host 0.0.0.0`."""
    log = tmp_path / "dev.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [installed.path / ".venv/bin/python", "-c", BESIDE, str(server.backend.port)],
            cwd=installed.path,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
        )
    for _ in range(600):
        if found := re.search(r"The Next.js page is at (\S+)", log.read_text("utf-8")):
            break
        time.sleep(0.1)
    assert found, log.read_text("utf-8")
    wait_until_it_answers(found[1])

    yield Site(found[1], server.backend)

    process.communicate()


def test_an_edit_is_shown_and_the_chat_continues(
    installed: BakedProject, in_development: Site, visit: plain.Visit
) -> None:
    """Next's scripts for hot reload must conform to the policy, or the console would have errors."""
    chat = visit(in_development).tab()
    chat.page.set_default_navigation_timeout(60_000)  # the page is compiled at the first request
    chat.open().say("hello")
    expect(chat.answers).to_have_count(1)
    # The first gives a new visitor's cookie, the second proves that it is kept. Two pages at once would
    # be two visitors, and speak with each other's cookie.
    asked = [request for request in chat.requests if request.url.endswith("/config.json")]
    assert len(asked) == 2
    source = installed.text("nextjs/app/chat.tsx")
    try:
        edited = source.replace("<h1>{title}</h1>", "<h1>{title}, edited</h1>")
        (installed.path / "nextjs/app/chat.tsx").write_text(edited, encoding="utf-8")
        expect(chat.page.get_by_role("heading", level=1)).to_have_text("My Chat App, edited")
    finally:
        (installed.path / "nextjs/app/chat.tsx").write_text(source, encoding="utf-8")

    expect(chat.page.get_by_role("heading", level=1)).to_have_text("My Chat App")
    expect(chat.messages).to_have_text(["hello"])
    chat.when_ready().say("and again")
    expect(chat.answers).to_have_count(2)


# --- With other answers -------------------------------------------------------------------------


def test_the_proxy_header_signs_in(make: options.Make, visit: plain.Visit) -> None:
    application = make(
        {"auth_style": "proxy", "agent_tools": "notes"},
        PROXY_TRUSTED_ADDRESSES="127.0.0.1",
        UVICORN_PROXY_HEADERS="false",  # as in its Dockerfile
    )
    nobody = visit(application).tab()
    nobody.page.goto("/")
    expect(nobody.problem).to_contain_text("You are not signed in")

    chat = visit(application).tab()
    chat.page.route(
        f"{application.url}/**",
        lambda route: route.continue_(headers=route.request.headers | {"X-Forwarded-User": "ada"}),
    )
    chat.open().say("hello")

    expect(chat.answers).to_have_count(1)


@pytest.mark.parametrize("asked_for", ["https://chat.example.com", "http://localhost:3000"])
def test_users_return_from_the_provider_to_their_page(
    at_provider: Application, asked_for: str
) -> None:
    scheme, _, host = asked_for.partition("://")
    headers = {"Host": host, "X-Forwarded-Proto": scheme}

    answer = httpx2.get(f"{at_provider.url}/sign-in", headers=headers)

    [callback] = parse_qs(urlsplit(answer.headers["location"]).query)["redirect_uri"]
    assert callback == f"{asked_for}/sign-in/callback"


@pytest.mark.parametrize(("scheme", "is_secure"), [("http", False), ("https", True)])
def test_cookies_are_secure_behind_tls(
    everything: Application, scheme: str, is_secure: bool
) -> None:
    answer = httpx2.get(f"{everything.url}/sign-in", headers={"X-Forwarded-Proto": scheme})

    assert ("Secure" in answer.headers["set-cookie"]) is is_secure


def test_address_limits_use_the_visitors_address(
    everything: Application, address_of: options.AddressOf, tmp_path: Path
) -> None:
    """The proxy in front sends the address, and the application trusts the Next.js server."""
    environment = everything.environment | {"SIGN_INS_PER_ADDRESS": "1"}
    strict = Application(everything.project, environment, tmp_path)
    strict.start()
    url = address_of(strict)

    answers = [sign_in_wrongly(url, f"203.0.113.{number}") for number in (7, 7, 8)]

    strict.stop()
    assert answers == [401, 429, 401]


def sign_in_wrongly(url: str, address: str) -> int:
    headers = {"X-Forwarded-For": address, "Host": "chat.example.com"}
    with httpx2.Client(base_url=url, headers=headers) as visitor:
        page = visitor.get("/sign-in")
        [token] = re.findall(r'name="form_token" type="hidden" value="(\w+)"', page.text)
        return visitor.post(
            "/sign-in",
            data={"name": address, "password": "something else", "form_token": token},
            headers={"Cookie": page.headers["set-cookie"].partition(";")[0]},
        ).status_code


test_a_dictation_is_recorded_and_its_refusal_shown = (
    options.test_a_dictation_is_recorded_and_its_refusal_shown
)
test_a_file_is_uploaded_to_the_bucket = options.test_a_file_is_uploaded_to_the_bucket
test_a_file_of_another_type_is_refused_with_a_notice = (
    options.test_a_file_of_another_type_is_refused_with_a_notice
)
test_a_picture_is_attached_shown_and_still_there_after_a_reload = (
    options.test_a_picture_is_attached_shown_and_still_there_after_a_reload
)
test_a_site_where_nobody_is_signed_in = options.test_a_site_where_nobody_is_signed_in
test_a_token_that_has_expired_is_renewed_once = (
    options.test_a_token_that_has_expired_is_renewed_once
)
test_sign_up_sign_in_and_change_of_password = options.test_sign_up_sign_in_and_change_of_password
test_the_assistant_reads_the_page_and_makes_it_dark = (
    options.test_the_assistant_reads_the_page_and_makes_it_dark
)
test_the_provider_signs_in_and_out = options.test_the_provider_signs_in_and_out
test_the_sites_token_signs_in = options.test_the_sites_token_signs_in


# --- Tests of the plain page ---------------------------------------------------------------

test_a_tab_keeps_its_session_id = plain.test_a_tab_keeps_its_session_id
test_a_stopped_answer_keeps_its_text = plain.test_a_stopped_answer_keeps_its_text
test_an_answer_goes_on_while_the_page_is_reloaded = (
    plain.test_an_answer_goes_on_while_the_page_is_reloaded
)
test_an_answer_streams_with_its_workflow = plain.test_an_answer_streams_with_its_workflow
test_only_an_allowed_site_can_frame_the_page = plain.test_only_an_allowed_site_can_frame_the_page
test_page_chat_and_server_use_the_browsers_language = (
    plain.test_page_chat_and_server_use_the_browsers_language
)
test_the_button_in_the_header_switches_both_and_is_remembered = (
    plain.test_the_button_in_the_header_switches_both_and_is_remembered
)
test_the_first_visit = plain.test_the_first_visit
test_the_history_names_renames_opens_and_deletes = (
    plain.test_the_history_names_renames_opens_and_deletes
)
test_the_script_is_blocked = plain.test_the_script_is_blocked
test_the_site_around_it_controls_the_chat = plain.test_the_site_around_it_controls_the_chat
test_the_systems_scheme_switches_page_and_chat_together = (
    plain.test_the_systems_scheme_switches_page_and_chat_together
)
test_the_url_names_the_thread = plain.test_the_url_names_the_thread
test_injected_scripts_do_not_run = plain.test_injected_scripts_do_not_run
