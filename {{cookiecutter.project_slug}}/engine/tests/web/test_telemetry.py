import logging
from typing import Any

import httpx2
import pytest

from engine.http.errors import TooManyReports
from engine.page import telemetry
from engine.page.telemetry import Allowance
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.fixtures import serving, visiting
from engine.tests.talk import Visitor


def reports(*names: str, **fields: Any) -> dict[str, Any]:
    return {"reports": [{"kind": "error", "name": name, **fields} for name in names]}


@pytest.fixture
def app_log(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(logging.getLogger("engine"), "propagate", True)
    return caplog


async def test_a_report_stands_in_the_log_by_name_and_id(visitor: Visitor, app_log: Any) -> None:
    body = reports("NetworkError", ids={"thread_id": "thr_1"}) | {"session_id": "session-1"}

    response = await visitor.client.post("/telemetry", json=body)

    assert response.status_code == 204
    assert "in a page: error NetworkError session=session-1 thread_id=thr_1" in app_log.text


@pytest.mark.parametrize(
    "body",
    [
        reports("my password is hunter2"),
        reports("Error", ids={"text": "what somebody said"}),
        reports("Error\nERROR app forged"),
        reports("x" * 81),
        reports(),
        reports(*["Error"] * 21),
        reports("Error", ids={f"id{number}": "x" for number in range(6)}),
        reports("Error") | {"session_id": "two words"},
        {"reports": [{"kind": "gossip", "name": "Error"}]},
        {},
        [],
    ],
)
async def test_words_and_floods_are_refused(visitor: Visitor, app_log: Any, body: Any) -> None:
    response = await visitor.client.post("/telemetry", json=body)

    assert response.status_code == 422
    assert "in a page" not in app_log.text
    assert "hunter2" not in app_log.text + response.text


async def test_a_large_body_is_not_read(visitor: Visitor) -> None:
    response = await visitor.client.post("/telemetry", content=b"x" * 8_001)

    assert response.status_code == 413


async def test_strangers_cannot_write_into_the_log(base_url: str) -> None:
    async with httpx2.AsyncClient(base_url=base_url, timeout=30) as nobody:
        response = await nobody.post("/telemetry", json=reports("Error"))

    assert response.status_code == 401


async def test_a_page_that_reports_too_much_is_told_to_stop(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telemetry, "MINUTE", 1_000_000_000)  # one that does not end meanwhile
    limited = settings.model_copy(update={"telemetry_per_minute": 3})
    async with (
        serving(create_app(limited)) as url,
        visiting(url, limited) as visitor,
        visiting(url, limited) as other,
    ):
        assert (await visitor.client.post("/telemetry", json=reports("A", "B"))).status_code == 204
        refused = await visitor.client.post("/telemetry", json=reports("C", "D"))
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert (await other.client.post("/telemetry", json=reports("A", "B"))).status_code == 204


def test_each_minute_a_page_may_report_anew() -> None:
    now = 119.0
    allowance = Allowance(1, clock=lambda: now)
    allowance.take("ada", 1)
    with pytest.raises(TooManyReports) as refused:
        allowance.take("ada", 1)
    assert refused.value.headers["Retry-After"] == "1"

    now = 120.0

    allowance.take("ada", 1)
