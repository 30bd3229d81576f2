"""The audit log of sign-ins and refusals."""

import pytest

from engine.http.addresses import Addresses
from engine.http.audit import record
from engine.http.logs import configure_logging
from engine.settings.settings import Settings
from engine.tests.fixtures import Scripted, demo_model
from engine.tests.talk import message


async def test_refusals_are_logged_with_user_id_and_code(
    with_model: Scripted, settings: Settings, audit: list[str]
) -> None:
    visitor = await with_model(demo_model(), turns_per_minute=1)
    for _ in range(2):
        await visitor.send("threads.create", input=message("hello"))

    [line] = audit
    here = Addresses(settings).hashed("127.0.0.1").removeprefix("address:")
    assert line == (f"refused user={visitor.user_id!r} address={here} reason=too_many_turns")


def test_audit_events_are_logged_at_every_log_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("ERROR")
    record("signed in", user_id="a\nb")

    written = capsys.readouterr().err
    assert r"INFO engine.audit [-] signed in user='a\nb' address=- reason=-" in written
