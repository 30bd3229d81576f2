"""The reason of an error is there for the operator, and holds nothing that people or models said."""

import json
import logging
import socket
import ssl
from collections.abc import Iterator
from typing import Any

import httpx2
import openai
import pytest
from sqlalchemy import insert
from sqlalchemy.exc import DBAPIError

from engine.database.database import EVERYBODY, TABLE_PREFIX, Database
from engine.database.rows import ThreadRow
from engine.http.logs import JsonFormatter, configure_logging
from engine.models.boundary.failures import ModelFailure
from engine.settings.settings import LogErrors, Settings
from engine.telemetry.ids import current_request_id, current_run_id, current_user_id
from engine.telemetry.log_records import RedactedRecord
from engine.telemetry.reasons import reason_of_error
from engine.tests import application
from engine.tests.agent.fixtures import WithServer
from engine.tests.fixtures import LogLines, visiting
from engine.tests.model_server import answer, called, refuse_saying, respond
from engine.tests.telemetry.served import STUMBLE

SAID = "mulberry7731"
KEY = "sk-proj-0123456789abcdefghij"


def refusal(status: int, message: str, **body: object) -> openai.APIStatusError:
    request = httpx2.Request("POST", "http://model.test")
    response: Any = httpx2.Response(status, request=request)
    details = {"message": message, **body}
    return openai.APIStatusError(f"Error code: {details}", response=response, body=details)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError(SAID), "builtins.ValueError"),
        (
            refusal(400, SAID, code="invalid_prompt", param="input[2].content", type="x_error"),
            "openai.APIStatusError (400, code invalid_prompt, type x_error, "
            "parameter input[2].content)",
        ),
        (
            refusal(
                400,
                "Unsupported parameter: 'temperature' is not supported with this model.",
                code="unsupported_parameter",
                param="temperature",
            ),
            "openai.APIStatusError (400, code unsupported_parameter, parameter temperature): "
            "Unsupported parameter: 'temperature' is not supported with this model.",
        ),
        (
            refusal(400, f"Unsupported value: {SAID}", code="unsupported_value", param="input[0]"),
            "openai.APIStatusError (400, code unsupported_value, parameter input[0])",
        ),
        (
            refusal(404, "The model `gpt-9` does not exist.", code="model_not_found"),
            "openai.APIStatusError (404, code model_not_found): The model `gpt-9` does not exist.",
        ),
        (
            refusal(429, f"Rate limit reached for {KEY} in org-1", code="rate_limit_exceeded"),
            "openai.APIStatusError (429, code rate_limit_exceeded): Rate limit reached for … in …",
        ),
        (
            refusal(429, "See https://x.test/limits?key=1", code="insufficient_quota"),
            "openai.APIStatusError (429, code insufficient_quota): See …",
        ),
        (
            refusal(401, f"Incorrect API key: {KEY}", code="invalid_api_key"),
            "code invalid_api_key)",
        ),
        (refusal(400, SAID, code=f"about {SAID}", param=SAID * 9), "openai.APIStatusError (400)"),
        (
            ModelFailure("rate_limit_exceeded", "You sent too much.", "tokens"),
            "(code rate_limit_exceeded, type tokens): You sent too much.",
        ),
        (ModelFailure("server_error", SAID), "failures.ModelFailure (code server_error)"),
        (ConnectionRefusedError(111, SAID), "builtins.ConnectionRefusedError: Connection refused"),
        (OSError(SAID), "builtins.OSError"),
        (
            socket.gaierror(-2, "Name or service not known"),
            "socket.gaierror: Name or service not known",
        ),
        (httpx2.ConnectError(SAID), "httpx2.ConnectError"),
        (KeyError(SAID), "builtins.KeyError"),
    ],
)
def test_a_reason(error: Exception, reason: str) -> None:
    found = reason_of_error(error)

    assert found.endswith(reason)
    assert SAID not in found
    assert KEY not in found


def test_a_failed_handshake_has_its_reason() -> None:
    error = ssl.SSLCertVerificationError(1, SAID)
    error.reason = "CERTIFICATE_VERIFY_FAILED"

    assert "reason CERTIFICATE_VERIFY_FAILED" in reason_of_error(error)
    assert SAID not in reason_of_error(error)


async def test_a_refusal_by_the_database_names_the_constraint(database: Database) -> None:
    statement = insert(ThreadRow).values(user_id=SAID, id=SAID, payload={})
    with pytest.raises(DBAPIError) as refused:
        await database.write(EVERYBODY, statement)

    driver = refused.value.orig
    assert driver is not None
    assert driver.__cause__ is not None
    reason = reason_of_error(driver.__cause__)
    assert reason.endswith(
        f"(23503, constraint {TABLE_PREFIX}threads_user_id_fkey, table {TABLE_PREFIX}threads)"
    )


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    factory = logging.getLogRecordFactory()
    yield
    configure_logging("WARNING")
    logging.setLogRecordFactory(factory)


@pytest.fixture
def lines() -> Iterator[LogLines]:
    """All lines of the application, as a handler gets them."""
    kept = LogLines()
    kept.setFormatter(JsonFormatter())
    kept.emit = lambda record: kept.lines.append(kept.format(record))  # type: ignore[method-assign]
    yield kept
    logging.getLogger("engine").removeHandler(kept)


@pytest.mark.parametrize("errors", ["reasons", "everything"])
async def test_everything_is_a_setting(
    with_server: WithServer,
    lines: LogLines,
    monkeypatch: pytest.MonkeyPatch,
    errors: LogErrors,
) -> None:
    monkeypatch.setattr(application, "TOOLS", (STUMBLE,))
    visitor, model = await with_server(log_errors=errors)
    logging.getLogger("engine").addHandler(lines)
    arguments = json.dumps({"text": SAID})
    model.does(respond(called("stumble", arguments)), answer("Well."))
    await visitor.say("hello")
    model.does(refuse_saying(400, f"cannot take {SAID}"))
    await visitor.say("hello")

    tool, failed = map(json.loads, lines.lines)
    assert tool["message"] == "the tool stumble failed"
    assert failed["message"] == "a run failed"
    assert tool["user_id"] == failed["user_id"] == visitor.user_id
    assert tool["run_id"] != failed["run_id"]
    for line in (tool, failed):
        assert (SAID in line["exception"]) is (errors == "everything")


async def test_two_users_at_once_have_ids_of_their_own(
    with_server: WithServer, lines: LogLines, settings: Settings
) -> None:
    one, model = await with_server()
    async with visiting(str(one.client.base_url), settings) as other:
        logging.getLogger("engine").addHandler(lines)
        for visitor in (one, other):
            visitor.client.headers["X-Request-ID"] = f"of-{visitor.user_id}"
        model.does(*[refuse_saying(400, "no")] * 2)
        for visitor in (one, other):
            await visitor.say("hello")

    found = [json.loads(line) for line in lines.lines]
    assert [line["user_id"] for line in found] == [one.user_id, other.user_id]
    assert [line["request_id"] for line in found] == [f"of-{one.user_id}", f"of-{other.user_id}"]
    assert len({line["run_id"] for line in found}) == 2


def test_a_line_of_json_has_its_fields_and_no_others() -> None:
    record = logging.makeLogRecord(
        {"name": "lib", "levelname": "INFO", "msg": "%s\n", "args": ("two",), "said": SAID}
    )

    line = JsonFormatter().format(record)

    assert "\n" not in line
    assert json.loads(line).keys() == {"time", "level", "logger", "message"}
    assert json.loads(line)["message"] == "two\n"


def test_the_server_and_libraries_write_json_too() -> None:
    server, root = logging.getLogger("uvicorn.access"), logging.getLogger()
    handler, before = logging.StreamHandler(), root.handlers
    server.addHandler(handler)
    root.handlers = []
    try:
        configure_logging("INFO", log_format="json")

        assert isinstance(handler.formatter, JsonFormatter)
        assert [type(one.formatter) for one in root.handlers] == [JsonFormatter]
    finally:
        server.removeHandler(handler)
        root.handlers = before


def test_ids_that_are_not_known_are_left_out() -> None:
    tokens = [(one, one.set("-")) for one in (current_request_id, current_run_id, current_user_id)]
    record = logging.makeLogRecord({"msg": "hello"})
    assert (
        not {"request_id", "run_id", "user_id"} & json.loads(JsonFormatter().format(record)).keys()
    )
    for variable, token in tokens:
        variable.reset(token)


def test_no_handler_gets_the_exception_itself() -> None:
    try:
        raise ValueError(SAID)
    except ValueError as error:
        record = RedactedRecord("x", 40, __file__, 1, "failed", (), (type(error), error, None))

    assert record.exc_info is None
    assert record.exc_text is not None
    assert record.exc_text.endswith("builtins.ValueError")


def test_the_exception_of_a_forgotten_task_is_not_in_the_message() -> None:
    message = f"Task exception was never retrieved\nfuture: <Task exception=ValueError('{SAID}')>"

    record = RedactedRecord("asyncio", 40, __file__, 1, message, (), None)

    assert record.getMessage().startswith("Task exception was never retrieved")
    assert SAID not in record.getMessage()
