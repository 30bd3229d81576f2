"""No log contains messages or credentials, at any level and after any error."""

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import openai
import pytest
from agents import Model
from agents.testing import ModelStep, ScriptedModel, assistant_message, function_call
from sqlalchemy import Date, cast, literal, select
from sqlalchemy.exc import DBAPIError

from engine.database.database import EVERYBODY, Database
from engine.settings.settings import Settings
from engine.store.store import SqlStore
from engine.telemetry.log_records import RedactedRecord
from engine.tests import application
from engine.tests.application import create_app
from engine.tests.fixtures import Scripted, demo_model, serving, visiting
from engine.tests.talk import message
from engine.tests.test_partitions import interrupted
from engine.tools.tool import AgentTool, agent_function

CANARY = "canary-4711"
SECRETS = {"cookie", "authorization"}


class Everything(logging.Handler):
    """Collects every record of every logger, as a formatter writes it."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.text = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.text += self.format(record) + "\n"


@pytest.fixture
def log() -> Iterator[Everything]:
    everything = Everything()
    loggers = [
        logging.getLogger(),
        logging.getLogger("app"),
        logging.getLogger("engine"),
        logging.getLogger("uvicorn"),
    ]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(everything)
        logger.setLevel(logging.DEBUG)
    yield everything
    for logger, level in zip(loggers, levels, strict=True):
        logger.removeHandler(everything)
        logger.setLevel(level)


@agent_function
async def stumble(text: str) -> str:
    """Fail with an error that quotes the argument."""
    raise ValueError(f"cannot read {text}")


STUMBLE = AgentTool(
    id="stumble",
    label="Stumble",
    icon="sparkle",
    functions=(stumble,),
    placeholder="",
    prompt="",
)


def refusal() -> openai.BadRequestError:
    """An error of OpenAI's API that repeats the request."""
    request: Any = httpx2.Request("POST", "http://model.test")
    response: Any = httpx2.Response(400, request=request)
    return openai.BadRequestError(f"bad input: {CANARY}", response=response, body={"q": CANARY})


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([[assistant_message(f"You said {CANARY}")]], '"POST /chatkit HTTP/1.1" 200'),
        ([ModelStep.raise_error(refusal())], "openai.BadRequestError (400)"),
        ([ModelStep.raise_error(RuntimeError(CANARY))], "builtins.RuntimeError"),
        (
            [[function_call("stumble", {"text": CANARY}, call_id="1")], [assistant_message("ok")]],
            "builtins.ValueError",
        ),
    ],
    ids=["an answer", "a refusal by the model", "a failure of ours", "a failing tool"],
)
async def test_a_turn_is_not_logged(
    with_model: Scripted,
    log: Everything,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    steps: list[Any],
    expected: str,
) -> None:
    monkeypatch.setattr(application, "TOOLS", (STUMBLE,))
    model: Model = ScriptedModel(steps)
    visitor = await with_model(model, log_level="DEBUG")
    turn = await visitor.say(f"Tell me about {CANARY}")
    await visitor.send("threads.update", thread_id=turn.thread_id, title=f"On {CANARY}")
    await visitor.send("threads.create", input={"content": CANARY})

    out, err = capfd.readouterr()
    written = log.text + out + err
    assert CANARY not in written
    # The header of a trusted proxy has a name and no secret.
    for name in SECRETS & visitor.client.headers.keys():
        secret = visitor.client.headers[name].rpartition("=")[2].removeprefix("Bearer ")
        assert secret not in written
    assert expected in written


@pytest.mark.parametrize("command", ["stop", "leave"])
async def test_a_stopped_or_left_answer_is_not_logged(
    with_model: Scripted, log: Everything, capfd: pytest.CaptureFixture[str], command: str
) -> None:
    visitor = await with_model(demo_model(0.002), log_level="DEBUG")
    turn = await visitor.say("hello")
    run_id = await interrupted(visitor, turn.thread_id, command, f"{CANARY} " * 50)

    written = log.text + "".join(capfd.readouterr())
    assert f"/chatkit/runs/{run_id}/{command}" in written
    assert CANARY not in written


async def test_credentials_of_a_refused_sign_in_are_not_logged(
    with_model: Scripted, log: Everything, capfd: pytest.CaptureFixture[str]
) -> None:
    visitor = await with_model(demo_model(), log_level="DEBUG")
    forged = [
        {"Authorization": f"Bearer {CANARY}"},
        {"Authorization": f"Basic {CANARY}", "Cookie": f"{CANARY}={CANARY}"},
        *(
            {name: f"{visitor.client.headers[name]}-{CANARY}"}
            for name in SECRETS & visitor.client.headers.keys()
        ),
    ]
    for headers in forged:
        body = {"type": "threads.list", "params": {"after": CANARY}}
        url = visitor.client.base_url.join("/chatkit")
        async with httpx2.AsyncClient() as client:
            assert (await client.post(url, json=body, headers=headers)).status_code == 401

    written = log.text + "".join(capfd.readouterr())
    assert '"POST /chatkit HTTP/1.1" 401' in written
    assert CANARY not in written


async def test_a_database_error_that_quotes_the_row(
    with_model: Scripted, log: Everything, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_args: Any, **_kwargs: Any) -> None:
        raise RuntimeError(f"DETAIL: Failing row contains ({CANARY})")

    visitor = await with_model(ScriptedModel([[assistant_message("ok")]]))
    monkeypatch.setattr(SqlStore, "add_thread_item", fail)
    turn = await visitor.stream("threads.create", input=message(CANARY))

    assert turn.error is not None
    assert "builtins.RuntimeError" in log.text
    assert CANARY not in log.text


async def test_a_database_error_that_quotes_a_value(database: Database) -> None:
    with pytest.raises(DBAPIError) as refused:
        await database.fetch(EVERYBODY, select(cast(literal(CANARY), Date)))

    # PostgreSQL's message may quote the value; the additions of SQLAlchemy must not.
    assert CANARY not in str(refused.value).replace(str(refused.value.orig), "")


async def test_model_requests_are_not_logged(
    settings: Settings,
    log: Everything,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Also with OPENAI_AGENTS_DONT_LOG_MODEL_DATA=0, which would log them."""
    monkeypatch.setattr("agents._debug.DONT_LOG_MODEL_DATA", False)
    changed = settings.model_copy(
        update={
            "openai_api_key": type(settings.secret_key)(CANARY),
            "openai_base_url": "http://127.0.0.1:1",
            "model_retries": 0,
        }
    )
    async with serving(create_app(changed)) as url, visiting(url, changed) as visitor:
        turn = await visitor.say(f"Tell me about {CANARY}")

    assert turn.error is not None
    written = log.text + capfd.readouterr().err
    assert "openai.APIConnectionError" in written
    assert CANARY not in written


def test_a_traceback_has_places_and_classes_but_no_messages() -> None:
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as error:
            raise ExceptionGroup(CANARY, [ValueError(CANARY)]) from error
    except ExceptionGroup as error:
        record = RedactedRecord(
            "x", 40, __file__, 1, "%s: %s", ("kept", error), (type(error), error, None)
        )
    text = logging.Formatter().format(record)

    assert CANARY not in text
    assert text.startswith("kept: builtins.ExceptionGroup\n")
    for part in ("builtins.KeyError\nwhich led to\n", "builtins.ValueError", __file__):
        assert part in text


@pytest.fixture(autouse=True)
async def _records_as_before() -> AsyncIterator[None]:
    factory = logging.getLogRecordFactory()
    yield
    logging.setLogRecordFactory(factory)


def test_an_exception_that_is_its_own_cause_is_logged_once() -> None:
    kept, raised = ValueError("kept"), KeyError("raised")
    kept.__cause__, raised.__cause__ = raised, kept
    record = RedactedRecord("n", logging.ERROR, "p", 1, "failed", (), (KeyError, raised, None))
    assert record.exc_text == "builtins.ValueError\nwhich led to\nbuiltins.KeyError"
