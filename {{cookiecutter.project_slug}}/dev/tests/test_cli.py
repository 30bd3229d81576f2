import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from dev import __main__ as cli
from dev import database, prove
from dev.paths import PROJECT_ROOT, VENV, python_of
from engine.operate import cli as operator
from engine.operate.port import port_problem


def run(
    *arguments: str, python: str = sys.executable, **env: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python, *arguments],
        cwd=PROJECT_ROOT,
        env=os.environ | {"PYTHONIOENCODING": "utf-8"} | env,
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("command", ["dev", "setup", "migrate", "smoke", "doctor", "db"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        cli.main([command, "--help"])
    assert exit_.value.code == 0
    assert command in capsys.readouterr().out


def test_setup_needs_only_the_standard_library() -> None:
    found = run(
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path[:0] = [{str(PROJECT_ROOT)!r}]; import dev.__main__, dev.setup",
    )
    assert found.returncode == 0, found.stderr


@pytest.mark.parametrize(
    "module",
    ["engine.operate.commands.migrate", "engine.operate.smoke_erasure", "dev.smoke", "dev.prove"],
)
def test_does_not_import_the_sdks(module: str) -> None:
    code = f"import sys, {module}; print([m for m in ('agents', 'chatkit', 'openai') if m in sys.modules])"
    assert run("-c", code).stdout.strip() == "[]"


def test_unusable_setting_is_one_line() -> None:
    done = run("-m", "app", "db", "start", DATABASE_URL="mysql://somewhere/else")
    assert done.returncode == 1
    assert done.stdout.splitlines()[0].startswith("DATABASE_URL is not usable")
    assert done.stderr == ""


@pytest.mark.parametrize("command", [["migrate"], ["doctor"], ["db", "start"], ["smoke"]])
def test_a_password_that_is_not_encoded_is_one_line_without_it(
    command: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli, "_belongs_in_venv", lambda: False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:gehe@im/#@127.0.0.1/name")
    assert cli.main(command) == 1
    said = capsys.readouterr()
    assert said.out.startswith("DATABASE_URL is not usable: it is not a valid URL")
    assert said.out.count("\n") == 1
    assert "gehe" not in said.out + said.err


def test_setup_says_it_in_a_line_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://user:gehe@im/#@127.0.0.1/name")
    assert operator.run(lambda: prove.prove((None, None))) == 1  # type: ignore[arg-type]
    said = capsys.readouterr()
    assert said.out.splitlines()[1].startswith("DATABASE_URL is not usable")
    assert "gehe" not in said.out + said.err


def test_database_that_nobody_answers(unused_port: int) -> None:
    url = f"postgresql://user:geheim@127.0.0.1:{unused_port}/name"
    done = run("-m", "app", "db", "start", DATABASE_URL=url)
    assert done.returncode == 1
    assert "No database answers at" in done.stdout
    assert "geheim" not in done.stdout
    assert done.stderr == ""


def test_goes_on_inside_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    started: list[list[str]] = []
    python = python_of(tmp_path)
    python.parent.mkdir(parents=True)
    python.touch()
    monkeypatch.setattr(cli, "VENV", tmp_path)
    monkeypatch.setattr(sys, "prefix", sys.base_prefix)
    monkeypatch.setattr(os, "execve", lambda _, command, __: started.append(command))
    monkeypatch.setattr(subprocess, "call", lambda command, **_: started.append(command))
    cli.main(["doctor", "--port", "1"])
    assert started[0] == [str(python), "-m", "app", "doctor", "--port", "1"]


OLD_PYTHON = """
import runpy, sys
sys.version_info, sys.prefix = (3, 9, 1, "final", 0), "/usr"
sys.argv = ["app", *sys.argv[1:]]
runpy.run_module("dev", run_name="__main__")
"""


@pytest.mark.parametrize("command", ["doctor", "setup"])
def test_an_old_python_goes_on_inside_the_environment_too(command: str) -> None:
    """Whatever environment is active, if only it has a Python that can begin."""
    if not python_of(VENV).exists():
        pytest.skip("the project has no environment of its own")
    done = run("-c", OLD_PYTHON, command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"python3 -m app {command}" in done.stdout


def test_busy_port_names_a_free_one() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        problem = port_problem("127.0.0.1", port)
    assert problem is not None
    assert f"Port {port} is taken" in problem
    assert "python3 -m app dev --port " in problem
    assert port_problem("127.0.0.1", port) is None


@pytest.mark.parametrize(("answer", "deleted"), [("y", True), ("", False), ("no", False)])
def test_reset_asks(
    answer: str, deleted: bool, monkeypatch: pytest.MonkeyPatch, postgres: list[str]
) -> None:
    monkeypatch.setattr("builtins.input", lambda _question: answer)
    assert database.reset(confirmed=False) == (0 if deleted else 1)
    assert postgres == (["destroy"] if deleted else [])


def test_reset_with_yes_does_not_ask(postgres: list[str]) -> None:
    assert database.reset(confirmed=True) == 0
    assert postgres == ["destroy"]


def test_reset_never_touches_a_database_of_ones_own(
    monkeypatch: pytest.MonkeyPatch, postgres: list[str]
) -> None:
    monkeypatch.setattr(database, "Settings", lambda: SimpleNamespace(database_url="postgresql://"))
    assert database.reset(confirmed=True) == 1
    assert postgres == []


@pytest.fixture
def postgres(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Stands for the embedded database of this project, and records what is done to it."""
    calls: list[str] = []
    stand_in: Callable[[Path], SimpleNamespace] = lambda _: SimpleNamespace(  # noqa: E731
        destroy=lambda: calls.append("destroy")
    )
    monkeypatch.setattr(database, "Postgres", stand_in)
    monkeypatch.setattr(database, "Settings", lambda: SimpleNamespace(database_url=None))
    return calls


@pytest.fixture
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
