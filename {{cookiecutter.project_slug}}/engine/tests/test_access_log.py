"""The access log of the server, as started in the image."""

import logging
from pathlib import Path

import httpx2
import pytest

from engine.context.ids import new_run_id
from engine.http.access_log import loggable_path
from engine.http.logs import configure_logging
from engine.settings.settings import Settings
from engine.tests.workers import Worker

CANARY = "canary-4711"
LINK = f"{CANARY}." * 8
ADDRESSES = (
    f"/sign-in/callback?code={CANARY}&state={CANARY}",
    f"/?thread={CANARY}",
    f"/files/{LINK}",
    f"/files/{LINK}?x={CANARY}",
    f"/nowhere?next=%2F{CANARY}",
)


async def test_codes_and_signed_links_are_not_logged(settings: Settings, tmp_path: Path) -> None:
    worker = Worker(settings, "--log-level", "info")
    worker.log = tmp_path / "server.log"
    try:
        await worker.start()
        async with httpx2.AsyncClient(base_url=worker.url, timeout=30) as client:
            for address in ADDRESSES:
                await client.get(address)
    finally:
        worker.kill()
        await worker.wait()

    written = worker.log.read_text("utf-8")
    assert CANARY not in written
    for path in ("/sign-in/callback", "/", "/files/…", "/nowhere"):
        assert f'"GET {path} HTTP/1.1" ' in written


@pytest.mark.parametrize("args", [(), ("127.0.0.1", 1), None])
def test_other_log_records_are_unchanged(args: tuple[object, ...] | None) -> None:
    configure_logging("INFO")
    record = logging.LogRecord("uvicorn.access", 20, "", 0, "hello", args, None)
    assert logging.getLogger("uvicorn.access").filter(record)
    assert record.args == args


def test_building_several_applications_adds_one_filter() -> None:
    configure_logging("INFO")
    configure_logging("INFO")
    assert len(logging.getLogger("uvicorn.access").filters) == 1


def test_query_strings_are_removed() -> None:
    assert loggable_path("/chatkit?a=b") == "/chatkit"
    run = f"/chatkit/runs/{new_run_id()}/stop"
    assert loggable_path(run) == run
