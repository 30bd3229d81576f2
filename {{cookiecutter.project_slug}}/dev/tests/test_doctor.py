"""What the doctor says of this machine, before what the engine looks at."""

import socket

import pytest

from dev import doctor
from engine.operate.doctor import PROBLEMS


def test_a_port_without_a_server() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    finding = doctor.own_server(port)
    assert finding.state == "ok"
    assert "python -m app dev" in finding.text


def test_a_port_that_another_program_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.operate.doctor.TIMEOUT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        finding = doctor.own_server(taken.getsockname()[1])
    assert finding.state == "warn"
    assert "is taken by another program" in finding.text
    assert "python -m app dev --port" in finding.text


def test_an_embedded_database_that_does_not_run() -> None:
    finding = doctor.embedded_database(None)
    assert finding.state == "warn"
    assert "python -m app db start" in finding.text


def test_this_machine_comes_first_and_the_engines_checks_follow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: list[str] = []
    monkeypatch.setattr(doctor, "examine", names.extend)
    doctor.doctor(8000)
    assert names[:2] == ["Python", "environment"]
    assert set(PROBLEMS.values()) <= set(names)
