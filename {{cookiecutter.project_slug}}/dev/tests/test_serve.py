"""`python3 -m app dev`."""

import os
from argparse import Namespace
from contextlib import nullcontext

import pytest

from dev import serve


@pytest.mark.parametrize(("given", "logged"), [(None, "everything"), ("reasons", "reasons")])
def test_errors_are_logged_whole_unless_a_setting_says_otherwise(
    monkeypatch: pytest.MonkeyPatch, given: str | None, logged: str
) -> None:
    environment = dict(os.environ) | ({} if given is None else {"LOG_ERRORS": given})
    started: list[str] = []
    monkeypatch.setattr("dev.serve.os.environ", environment)
    monkeypatch.setattr(serve, "running_database", lambda _settings: nullcontext("postgresql://x"))
    monkeypatch.setattr(serve, "upgrade", lambda _url: None)
    monkeypatch.setattr(serve, "COMPANIONS", ())
    monkeypatch.setattr(
        "dev.serve.uvicorn.run", lambda *_, **__: started.append(environment["LOG_ERRORS"])
    )

    assert serve.serve(Namespace(host="127.0.0.1", port=0)) == 0
    assert started == [logged]
