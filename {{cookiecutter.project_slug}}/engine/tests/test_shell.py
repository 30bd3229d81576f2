"""Commands that can be pasted into a shell, and the report at the end of setup."""

import os
import shlex
import sys
from pathlib import Path

import pytest

from engine.operate import done, shell
from engine.settings.settings import Settings


def test_a_command_is_spelled_with_python3(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    python = tmp_path / "python3"
    python.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys._base_executable", str(python))
    assert shell.command("dev") == "python3 -m app dev"

    other = tmp_path / "in other place" / "python3.12"
    other.parent.mkdir()
    other.touch(mode=0o755)
    monkeypatch.setattr("sys._base_executable", str(other))
    assert shell.command("dev") == f"{shlex.quote(str(other))} -m app dev"


@pytest.mark.skipif(os.name == "nt", reason="the shim is a shell script")
def test_a_shim_is_the_python_that_it_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    shim = tmp_path / "python3"
    shim.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert shell.command("dev") == "python3 -m app dev"


@pytest.mark.parametrize(
    ("name", "quoted", "prefix"),
    [
        ("posix", "'O'\"'\"'Hara $x'", "PYTHONSAFEPATH= "),
        ("nt", "'O''Hara $x'", "$env:PYTHONSAFEPATH=''; "),
    ],
)
def test_quotes_are_those_of_the_shells(
    monkeypatch: pytest.MonkeyPatch, name: str, quoted: str, prefix: str
) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    monkeypatch.setattr(shell, "os", type("System", (), {"name": name, "environ": os.environ}))
    assert shell.quoted("O'Hara $x") == quoted
    assert shell._safe_path() == prefix


def test_the_report_has_the_answers_and_whom_it_lets_in(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, database_url: str
) -> None:
    monkeypatch.setenv(done.ANSWERS, "  auth_style  mine\n  languages  en")
    lines = done.report("app", settings, database_url).splitlines()
    assert lines[1:4] == ["Done.", "  auth_style  mine", "  languages  en"]
    assert lines[4].startswith("It lets in ")
    assert lines[4].endswith(".")
