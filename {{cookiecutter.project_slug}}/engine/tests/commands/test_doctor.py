import re
import socket
from collections.abc import Callable
from functools import partial
from typing import Literal

import httpx2
import pytest
from pydantic import SecretStr

from engine.database.database import Database
from engine.operate import doctor
from engine.operate.identity import application_id
from engine.page.files import ENGINE_FILES
from engine.settings.finding import Finding
from engine.settings.providers import PROVIDERS
from engine.settings.settings import Settings
from engine.tests.application import sign_in

# Which check finds what the page calls by these names.
PROBLEMS = {
    "scriptBlocked": "ChatKit script",
    "notDefined": "ChatKit script",
    "notReady": "domain key",
    "backendDown": "server",
    "databaseDown": "database",
    "unauthenticated": "sign-in",
}


def settings(**values: object) -> Settings:
    return Settings.model_construct().model_copy(update=values)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Make every request of the doctor get this answer, or this error; /healthz is this application's."""

    def use(
        status: int = 200,
        body: object = None,
        error: Exception | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        def get(url: str, **_: object) -> httpx2.Response:
            if error is not None:
                raise error
            request = httpx2.Request("GET", url)
            if url.endswith("/healthz"):
                health = {"status": "ok", "application": application_id(settings())}
                return httpx2.Response(200, json=health, request=request)
            return httpx2.Response(status, json=body, request=request, headers=headers)

        monkeypatch.setattr(httpx2, "get", get)

    return use


WITH_KEY = settings(openai_api_key=SecretStr("sk-secret"), model="large", models=())


@pytest.mark.parametrize(
    ("status", "body", "state", "said"),
    [
        (200, {"data": [{"id": "large"}]}, "ok", "large"),
        (200, {"data": [{"id": "small"}]}, "warn", "large is not listed"),
        (200, ["?"], "warn", "cannot be read"),
        (401, None, "fail", "refuses the key"),
        (404, None, "warn", "404"),
    ],
)
def test_model(
    answer: Callable[..., None], status: int, body: object, state: str, said: str
) -> None:
    answer(status, body)
    finding = doctor.model(WITH_KEY)
    assert finding.state == state
    assert said in finding.text
    assert "sk-secret" not in finding.text


def test_model_that_does_not_answer(answer: Callable[..., None]) -> None:
    answer(error=httpx2.ConnectError("no route"))
    assert doctor.model(WITH_KEY).state == "fail"


def test_azure_lists_no_deployments(answer: Callable[..., None]) -> None:
    answer(200, {"data": []})
    azure = {"openai_base_url": "https://name.openai.azure.com/openai/v1"}
    finding = doctor.model(WITH_KEY.model_copy(update=azure))
    assert finding == Finding("ok", "name.openai.azure.com takes the key; it lists no deployments")


def test_a_model_beside_another_providers_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, "other", "")
    mixed = settings(models=("other/a", "large"), openai_api_key=None)
    assert doctor.model_key(mixed) == Finding("fail", "no OPENAI_API_KEY, which large needs")


def test_a_model_of_a_provider_that_is_not_here() -> None:
    finding = doctor.model(settings(model="elsewhere/provider/large"))
    assert finding.state == "fail"
    assert finding.text.startswith("MODEL: expected a model of OpenAI's, found elsewhere/provider/")


def test_demo_model_asks_nobody(answer: Callable[..., None]) -> None:
    answer(error=AssertionError("nobody is to be asked"))
    assert doctor.model(settings()).state == "ok"


def test_blocked_script(answer: Callable[..., None]) -> None:
    answer(error=httpx2.ConnectTimeout("blocked"))
    finding = doctor.script(settings(chatkit_script_url="https://cdn.test/chatkit.js"))
    assert finding.state == "warn"
    assert "Allow cdn.test in content blockers" in finding.text


@pytest.mark.parametrize(
    ("kind", "state"),
    [("text/javascript", "ok"), ("application/javascript", "ok"), ("text/html", "warn")],
)
def test_a_script_that_is_none(answer: Callable[..., None], kind: str, state: str) -> None:
    answer(headers={"Content-Type": kind})
    finding = doctor.script(settings())
    assert finding.state == state
    assert (doctor.OTHER_FILE in finding.text) is (state == "warn")


@pytest.mark.parametrize(
    ("status", "body", "state", "said"),
    [
        (200, {"status": "ok"}, "ok", "at http://127.0.0.1:8000"),
        (503, {"error": {"code": "database_unavailable"}}, "fail", "see DATABASE_URL"),
        (
            503,
            {"error": {"code": "unavailable", "message": "Not migrated."}},
            "fail",
            "Not migrated.",
        ),
        (200, ["?"], "warn", "no chat application"),
    ],
)
def test_server(
    answer: Callable[..., None], status: int, body: object, state: str, said: str
) -> None:
    answer(status, body)
    finding = doctor.server(8000, settings())
    assert finding.state == state
    assert said in finding.text


def test_a_port_without_a_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    finding = doctor.server(port, settings())
    assert finding.state == "ok"
    assert doctor.IS_SERVER_UP in finding.text
    assert "python3 -m app dev" in finding.text


@pytest.mark.parametrize("error", [httpx2.ConnectError("refused"), httpx2.ReadTimeout("silent")])
def test_a_port_that_another_program_has(answer: Callable[..., None], error: Exception) -> None:
    answer(error=error)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finding = doctor.server(taken.getsockname()[1], settings())
    assert finding.state == "warn"
    assert "is taken by another program" in finding.text
    assert "python3 -m app dev --port" in finding.text


@pytest.mark.parametrize("key", ["b" * 40, ""])
def test_another_application_at_the_port_is_not_ok(answer: Callable[..., None], key: str) -> None:
    """Another project of the template answers like this one; its SECRET_KEY is another."""
    answer(200, {"status": "ready"})
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        finding = doctor.server(port, settings(secret_key=SecretStr(key or "a" * 40)))
    assert finding.state == "warn"
    assert f"another application answers at http://127.0.0.1:{port}" in finding.text
    assert "python3 -m app dev --port" in finding.text


def test_sign_in_says_whom_it_lets_in() -> None:
    style = sign_in(Settings(), Database("postgresql+asyncpg://nobody@127.0.0.1/none"))

    text = f"{style.name}: it lets in {style.lets_in}"
    assert doctor._sign_in(sign_in, Settings()) == Finding("ok", text)


PAGE = ENGINE_FILES.parent


def test_it_says_what_the_page_says() -> None:
    """Whoever reads one of them finds the other's words."""
    page = (PAGE / "static" / "js" / "diagnostics.js").read_text("utf-8")
    shared = (
        doctor.ALLOW_CDN,
        doctor.OTHER_FILE,
        doctor.ADD_HOST,
        doctor.SET_KEY,
        doctor.IS_SERVER_UP,
        doctor.NO_DATABASE,
        doctor.ALLOW_LIST,
    )
    assert [text for text in shared if text not in page] == []


def test_it_looks_for_whatever_keeps_the_page_from_working(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids = re.search(r"type ProblemId =([^;]*);", (PAGE / "types.d.ts").read_text("utf-8"))
    assert ids
    # What stopped a page's program, its browser alone can tell.
    assert {*PROBLEMS, "startFailed"} == set(re.findall(r'"(\w+)"', ids[1]))
    checks: list[str] = []

    def note(name: str, _check: object) -> Finding:
        checks.append(name)
        return Finding("ok", "")

    monkeypatch.setattr(doctor, "_report", note)
    doctor.examine(doctor.checks_of("app", Settings(), 8000))
    assert set(PROBLEMS.values()) <= set(checks)


@pytest.mark.parametrize(("secret", "state"), [("", "warn"), ("x" * 31, "fail"), ("x" * 32, "ok")])
def test_secret_key(secret: str, state: str) -> None:
    assert doctor.secret_key(settings(secret_key=SecretStr(secret))).state == state


@pytest.mark.parametrize(("key", "state"), [("local-dev", "warn"), ("domain_pk_1", "ok")])
def test_domain_key(key: str, state: str) -> None:
    assert doctor.domain_key(settings(chatkit_domain_key=key)).state == state


def test_default_domain_key_is_the_settings_own() -> None:
    assert Settings.model_fields["chatkit_domain_key"].default == doctor.DEFAULT_DOMAIN_KEY


def test_database_that_nobody_answers() -> None:
    url = "postgresql+asyncpg://user:geheim@127.0.0.1:9/name"
    for check in (doctor.database, doctor.migrations):
        finding = check(url)
        assert finding.state == "fail"
        assert "geheim" not in finding.text


@pytest.mark.parametrize(("states", "code"), [(["ok", "warn"], 0), (["ok", "fail"], 1)])
def test_only_a_failure_fails(states: list[Literal["ok", "warn", "fail"]], code: int) -> None:
    checks = {str(n): partial(Finding, state, "") for n, state in enumerate(states)}
    assert doctor.examine(checks) == code
