"""The doctor's findings about this machine, which come before the engine's."""

from argparse import Namespace

import pytest

from app.auth import sign_in
from app.commands import DOCTOR_CHECKS
from dev import __main__ as cli
from dev import doctor
from dev.paths import PROJECT_ROOT
from engine.database.database import Database
from engine.operate.doctor import _sign_in, checks_of
from engine.settings.finding import Finding
from engine.settings.settings import Settings


def test_an_embedded_database_that_does_not_run() -> None:
    finding = doctor.embedded_database(None)
    assert finding.state == "warn"
    assert "python3 -m app db start" in finding.text


def test_this_machine_comes_first_and_the_engines_checks_follow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: list[str] = []
    monkeypatch.setattr(doctor, "examine", names.extend)
    doctor.doctor(Namespace(port=8000))
    assert names[:2] == ["Python", "environment"]
    assert checks_of("app", Settings(), 8000).keys() <= set(names)


def test_sign_in() -> None:
    style = sign_in(Settings(), Database("postgresql+asyncpg://nobody@127.0.0.1/none"))

    text = f"{style.name}: it lets in {style.lets_in}"
    assert _sign_in(sign_in, Settings()) == Finding("ok", text)


@pytest.mark.parametrize("setting", ["SECRET_KEY", "CHATKIT_DOMAIN_KEY", "OPENAI_API_KEY"])
def test_a_key_with_a_line_break_is_refused(
    setting: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_belongs_in_venv", lambda: False)
    monkeypatch.setenv(setting, f"{'a' * 40}\n{'b' * 40}")

    assert cli.main(["doctor"]) == 1

    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(f"{setting} is not usable: it ")
    assert "line break" in line
    assert "aaaa" not in line


def test_every_part_that_has_a_check_is_asked() -> None:
    files = [file.relative_to(PROJECT_ROOT) for file in PROJECT_ROOT.glob("engine/*/**/doctor.py")]
    names = [".".join(file.with_suffix("").parts) for file in files if "operate" not in file.parts]
    assert sorted(names) == sorted(DOCTOR_CHECKS)
