"""Other providers through LiteLLM: Anthropic's protocol, over real HTTP."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from dev.paths import PROJECT_ROOT
from engine.database.database import Database
from engine.database.rows import RunRow
from engine.demo.model import DemoModel
from engine.models.litellm import doctor as litellm_doctor
from engine.models.litellm import models
from engine.models.source import ModelSource
from engine.operate import doctor
from engine.settings.providers import provider_of
from engine.settings.settings import MODEL_KEY, EnvSettings, Settings, UnusableSettings
from engine.tests.application import create_app
from engine.tests.fixtures import serving, visiting
from engine.tests.model_server import (
    CANARY,
    Behaviour,
    Exchange,
    ModelServer,
    answer,
    cut,
    model_server,
    refuse,
    silence,
)
from engine.tests.talk import Turn, Visitor, message

CLAUDE = "litellm/anthropic/claude-test"


def says(text: str, *, then: Behaviour | None = None) -> Behaviour:
    """Stream as Anthropic does; `then` is how it goes wrong before its end."""

    async def behave(exchange: Exchange) -> None:
        await exchange.begin()
        usage = {"input_tokens": 70, "output_tokens": 1}
        started = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-test"}
        block = {"type": "text", "text": ""}
        delta = {"type": "text_delta", "text": text}
        await exchange.stream(
            [
                {"type": "message_start", "message": {**started, "content": [], "usage": usage}},
                {"type": "content_block_start", "index": 0, "content_block": block},
                {"type": "content_block_delta", "index": 0, "delta": delta},
            ]
        )
        if then is not None:
            await then(exchange)
            return
        end = {"stop_reason": "end_turn", "stop_sequence": None}
        await exchange.stream(
            [
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": end, "usage": {"output_tokens": 30}},
                {"type": "message_stop"},
            ]
        )
        await exchange.chunk("")

    return behave


@pytest.fixture(scope="module")
async def anthropic(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ModelServer]:
    """Anthropic's address and key are in `.env`, as a person would write them."""
    env = tmp_path_factory.mktemp("litellm") / ".env"
    async with model_server() as (server, url):
        base = url.removesuffix("/v1")
        env.write_text(f"ANTHROPIC_API_KEY={CANARY}\nANTHROPIC_API_BASE={base}\n")
        with pytest.MonkeyPatch.context() as patch:
            for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_API_BASE", *models.QUIET):
                patch.setenv(name, "")
                patch.delenv(name)
            patch.setitem(EnvSettings.model_config, "env_file", env)
            yield server


@pytest.fixture(scope="module")
async def both(
    settings: Settings, anthropic: ModelServer
) -> AsyncIterator[tuple[Visitor, ModelServer, ModelServer]]:
    """A picker with a model of OpenAI's and one of Anthropic's, and the servers of both."""
    async with AsyncExitStack() as stack:
        openai, url = await stack.enter_async_context(model_server())
        changed = settings.model_copy(
            update={
                "openai_api_key": SecretStr("sk-openai"),
                "openai_base_url": url,
                "models": ("gpt-test", CLAUDE),
            }
        )
        app = await stack.enter_async_context(serving(create_app(changed)))
        yield await stack.enter_async_context(visiting(app, changed)), openai, anthropic


@pytest.fixture(scope="module")
async def impatient(settings: Settings, anthropic: ModelServer) -> AsyncIterator[Visitor]:
    """With Anthropic's model alone, which has a second to say something."""
    changed = settings.model_copy(update={"model": CLAUDE, "model_timeout_seconds": 1.0})
    async with serving(create_app(changed)) as app, visiting(app, changed) as visitor:
        yield visitor


Both = tuple[Visitor, ModelServer, ModelServer]


async def test_either_model_of_a_mixed_picker_answers(both: Both, database: Database) -> None:
    visitor, openai, anthropic = both
    openai.does(answer("From one."))
    anthropic.does(says("From the other."))
    config = (await visitor.client.get("/config.json")).json()
    assert [model["id"] for model in config["models"]] == ["gpt-test", CLAUDE]
    assert config["models"][1]["label"] == "anthropic/claude-test"
    assert not config["demo"]

    first = await visitor.say("hello")
    assert first.answer == "From one."
    second = await visitor.say("and you?", first.thread_id, model=CLAUDE)
    assert second.answer == "From the other."

    [asked] = anthropic.exchanges
    assert asked.path == "/v1/messages"
    assert asked.headers["x-api-key"] == CANARY
    assert asked.body["model"] == "claude-test"
    assert "From one." in str(asked.body["messages"])
    owner = visitor.user_id
    used = select(RunRow.tokens_in, RunRow.tokens_out).where(
        RunRow.user_id == owner, RunRow.model == CLAUDE
    )
    assert [tuple(row) for row in await database.fetch(owner, used)] == [(70, 30)]


async def refused(both: Both, **options: str) -> str:
    visitor, _, _ = both
    response = await visitor.send("threads.create", input=message("hello", **options))
    assert response.status_code == 422
    text: str = response.json()["error"]["message"]
    return text


async def test_a_model_that_is_not_on_offer_is_refused(both: Both) -> None:
    assert await refused(both, model="litellm/anthropic/other") == "This model is not on offer."
    assert await refused(both, model="anthropic/claude-test") == "This model is not on offer."


@pytest.mark.parametrize("status", [429, 500, 529])
async def test_a_refusal_that_passes_is_not_seen(both: Both, status: int) -> None:
    visitor, _, anthropic = both
    anthropic.does(refuse(status, retry_after_ms="10"), says("Here I am."))
    before = len(anthropic.exchanges)
    turn = await visitor.say("hello", model=CLAUDE)
    assert turn.answer == "Here I am."
    assert len(anthropic.exchanges) - before == 2


async def test_it_waits_as_long_as_it_was_asked_to_and_longer_each_time(both: Both) -> None:
    visitor, _, anthropic = both
    anthropic.does(refuse(429, Retry_After="1"), refuse(500), says("Here I am."))
    turn = await visitor.say("hello", model=CLAUDE)
    assert turn.answer == "Here I am."
    first, second, third = (exchange.at for exchange in anthropic.exchanges[-3:])
    assert second - first > 0.9
    assert third - second > 0.9


def told(turn: Turn) -> str:
    assert CANARY not in str(turn.events)
    assert turn.error is not None
    return str(turn.error["message"])


@pytest.mark.parametrize(
    ("behaviours", "words"),
    [
        ([refuse(401)], "refused this server's credentials"),
        ([refuse(400)], "could not take this request"),
        ([refuse(503, retry_after_ms="10")] * 3, "cannot be reached right now"),
        ([refuse(503, x_should_retry="false")], "cannot be reached right now"),
    ],
    ids=["key", "request", "away", "final"],
)
async def test_what_goes_wrong_is_told_in_words_for_the_user(
    both: Both, behaviours: list[Behaviour], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    visitor, _, anthropic = both
    anthropic.does(*behaviours)
    before = len(anthropic.exchanges)
    assert words in told(await visitor.say("hello", model=CLAUDE))
    assert len(anthropic.exchanges) - before == len(behaviours)
    # LiteLLM's advice to who debugs it has no place in a log.
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "behaviour",
    [refuse(429, Retry_After="60"), silence, says("Half", then=silence)],
    ids=["asks for a minute", "silent", "silent in the middle"],
)
async def test_nobody_waits_longer_than_the_settings_say(
    impatient: Visitor, anthropic: ModelServer, behaviour: Behaviour
) -> None:
    anthropic.does(behaviour)
    assert "took too long" in told(await impatient.say("hello"))


async def test_nor_shorter(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteLLM has a limit of its own, which is lower for who sets MODEL_TIMEOUT_SECONDS high."""
    visitor, _, anthropic = both
    monkeypatch.setattr(import_module("litellm"), "request_timeout", 0.2)

    async def thinks(exchange: Exchange) -> None:
        await asyncio.sleep(1)
        await says("Here I am.")(exchange)

    anthropic.does(thinks)
    assert (await visitor.say("hello", model=CLAUDE)).answer == "Here I am."


async def test_it_is_tried_as_often_as_the_settings_say(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a provider whose client would try again by itself."""
    async with model_server() as (server, url):
        monkeypatch.setenv("OPENAI_API_BASE", url)
        monkeypatch.setenv("OPENAI_API_KEY", CANARY)
        changed = settings.model_copy(
            update={"model": "litellm/openai/gpt-test", "model_retries": 1}
        )
        async with serving(create_app(changed)) as app, visiting(app, changed) as visitor:
            server.does(*[refuse(503, retry_after_ms="10")] * 9)
            told(await visitor.say("hello"))
        assert len(server.exchanges) == 2


async def test_the_text_before_a_break_is_kept(both: Both) -> None:
    visitor, _, anthropic = both
    anthropic.does(says("So far.", then=cut))
    turn = await visitor.say("hello", model=CLAUDE)
    assert turn.answer == "So far."
    told(turn)


@pytest.mark.parametrize("key", ["sk-secret\nX: y", "sk-\x00secret", "sk-secret…"])
def test_a_key_that_is_no_header_value_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(UnusableSettings, match="SOME_API_KEY must be one line") as refused:
        models.strip_api_keys({"SOME_API_KEY": key})
    assert "secret" not in str(refused.value)


def test_keys_are_stripped() -> None:
    environment = {"SOME_API_KEY": " k\n", "OTHER": " o"}
    models.strip_api_keys(environment)
    assert environment == {"SOME_API_KEY": "k", "OTHER": " o"}


def test_the_doctor_names_the_key_that_is_missing(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    monkeypatch.setitem(EnvSettings.model_config, "env_file", None)
    only = settings.model_copy(update={"model": CLAUDE})
    finding = litellm_doctor.check_settings(only)
    assert finding.state == "warn"
    assert "ANTHROPIC_API_KEY" in finding.text
    assert doctor.model(only).state == doctor.model_key(only).state == "ok"
    monkeypatch.setenv("ANTHROPIC_API_KEY", "set")
    assert litellm_doctor.check_settings(only).state == "ok"


MISSPELT = "litellm/antrophic/claude"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": MISSPELT}, rf"^MODEL: .*found {MISSPELT}.*not antrophic. Similar.* anthropic\b"),
        ({"models": (CLAUDE, MISSPELT)}, rf"^MODELS: .*found {MISSPELT}\."),
        ({"model": CLAUDE, "title_model": MISSPELT}, rf"^TITLE_MODEL: .*found {MISSPELT}\."),
        ({"model": "litellm/anthropic"}, "^MODEL: .*found litellm/anthropic, which names no model"),
        ({"model": "litellm/anthropic/"}, "which names no model"),
        ({"model": "litellm/"}, "^MODEL: .*found litellm/, which names no provider"),
        ({"model": "litellm//claude"}, "which names no provider"),
        ({"model": "litellm/claude"}, "not claude"),
    ],
)
def test_a_name_that_leads_nowhere_is_refused_at_the_start(
    settings: Settings, changes: dict[str, Any], words: str
) -> None:
    wrong = settings.model_copy(update=changes)
    with pytest.raises(UnusableSettings, match=words) as error:
        create_app(wrong)
    assert "\n" not in str(error.value)
    assert "litellm/<provider>/<model>" in str(error.value)
    finding = litellm_doctor.check_settings(wrong)
    assert (finding.state, finding.text) == ("fail", str(error.value))


@pytest.mark.parametrize("name", ["litellm/openrouter/anthropic/claude-x", "litellm/gpt-4o"])
def test_names_that_litellm_knows_are_taken(settings: Settings, name: str) -> None:
    ModelSource(settings.model_copy(update={"model": name}), DemoModel(0))


@pytest.fixture
def _not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "find_spec", lambda _: None)


@pytest.mark.usefixtures("_not_installed")
def test_where_it_is_not_installed_one_line_says_what_to_do(settings: Settings) -> None:
    only = settings.model_copy(update={"model": CLAUDE})
    with pytest.raises(UnusableSettings, match=r"needs LiteLLM.*python3 -m app setup") as error:
        ModelSource(only, DemoModel(0))
    assert "\n" not in str(error.value)
    finding = litellm_doctor.check_settings(only)
    assert (finding.state, finding.text) == ("fail", str(error.value))


def test_a_model_of_openais_beside_it_needs_a_key(settings: Settings) -> None:
    mixed = settings.model_copy(update={"models": (CLAUDE, "gpt-test")})
    assert not mixed.is_demo
    with pytest.raises(UnusableSettings, match="gpt-test needs OPENAI_API_KEY"):
        ModelSource(mixed, DemoModel(0))


def test_importing_it_fetches_nothing_unless_the_owner_wants_that(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str | None] = []

    def imported(name: str) -> ModuleType:
        seen.extend(os.environ.get(variable) for variable in models.QUIET)
        return import_module(name)

    monkeypatch.setattr(models, "import_module", imported)
    only = settings.model_copy(update={"model": CLAUDE})
    for variable in models.QUIET:
        monkeypatch.setenv(variable, "")
        monkeypatch.delenv(variable)
    ModelSource(only, DemoModel(0))
    assert seen == ["True", "PRODUCTION"]

    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "False")
    ModelSource(only, DemoModel(0))
    assert seen[2:] == ["False", "PRODUCTION"]


async def test_the_end_of_the_application_is_the_end_of_its_clients(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []

    async def close() -> None:
        closed.append("all")

    monkeypatch.setattr(import_module("litellm"), "close_litellm_async_clients", close)
    changed = settings.model_copy(update={"model": CLAUDE})
    async with serving(create_app(changed)):
        assert closed == []
    assert closed == ["all"]


def test_nobody_imports_it_who_does_not_need_it() -> None:
    code = "import sys, engine.models.source; print('litellm' in sys.modules)"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_the_default_model_waits_for_its_key(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(MODEL_KEY, raising=False)
    default = Settings(database_url=settings.database_url)
    assert provider_of(default.model) == "litellm"
    assert default.is_demo
    assert isinstance(ModelSource(default, DemoModel(0)).get(default.model), DemoModel)

    monkeypatch.setenv(MODEL_KEY, "set")
    keyed = Settings(database_url=settings.database_url)
    assert not keyed.is_demo
    assert keyed.other_models == (keyed.model,)


def test_so_does_one_whose_key_is_in_the_env_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    env = tmp_path / ".env"
    monkeypatch.setitem(Settings.model_config, "env_file", env)
    monkeypatch.delenv(MODEL_KEY, raising=False)
    for key, is_demo in (("", True), ("set", False)):
        env.write_text(f"{MODEL_KEY}={key}\n", encoding="utf-8")
        assert Settings().is_demo is is_demo


def test_a_model_that_the_settings_name_is_asked_without_a_key_too() -> None:
    """Servers on one's own machine have none."""
    assert not Settings(model="litellm/ollama/llama").is_demo
