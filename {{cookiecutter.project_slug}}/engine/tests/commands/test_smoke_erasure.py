"""The smoke test notices an erasure that erases nothing."""

from contextlib import nullcontext
from importlib.util import find_spec

import pytest

from engine.operate import smoke_erasure
from engine.operate.privacy import erase as erasing
from engine.operate.smoke import Checks, SmokeFailure, Target
from engine.settings.settings import Settings
from engine.tests import application


@pytest.fixture(autouse=True)
def _of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """The application of the tests and no files, whatever its owner has."""
    monkeypatch.setattr(smoke_erasure, "import_module", lambda _name: application)
    monkeypatch.setattr(smoke_erasure, "attachments_of", lambda *_: nullcontext())
    monkeypatch.setattr(erasing, "SETTLE_SECONDS", 0)


async def test_an_erasure(base_url: str, settings: Settings) -> None:
    await smoke_erasure._check("app", base_url, str(settings.database_url))


def test_where_only_another_service_signs_in_it_is_skipped_and_not_counted(
    base_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise ValueError("only another service can sign in")

    monkeypatch.setattr(smoke_erasure, "sample_credentials", refuse)
    said: list[str] = []
    checks = Checks(Target(base_url, ({}, {}), None, "hello", must_call_tool=False), said.append)
    checks.check(
        "an erasure", lambda: smoke_erasure.check("app", base_url, str(settings.database_url))
    )
    checks.close()
    assert said == ["skipped  an erasure: only another service can sign in"]
    assert checks.passed == 0


async def erase_nothing(*_: object) -> None:
    pass


async def test_an_erasure_that_leaves_everything(
    base_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke_erasure, "erase", erase_nothing)
    with pytest.raises(SmokeFailure, match="of an erased user are listed"):
        await smoke_erasure._check("app", base_url, str(settings.database_url))


@pytest.mark.skipif(
    find_spec("engine.auth.sessions") is not None, reason="an erasure ends the session, too"
)
async def test_an_erased_user_who_comes_back(
    base_url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def erase_and_let_in(*given: object) -> None:
        await erasing.erase(*given)  # type: ignore[arg-type]
        await erasing.readmit(*given[:2])  # type: ignore[arg-type]

    monkeypatch.setattr(smoke_erasure, "erase", erase_and_let_in)
    with pytest.raises(SmokeFailure, match="an erased user is answered: 200"):
        await smoke_erasure._check("app", base_url, str(settings.database_url))
