import io
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

from dev import setup as subject
from dev import uv
from dev.paths import PROJECT_ROOT
from dev.steps import STEPS, Progress, StepFailed, run_command, step

QUIET = Progress("", io.StringIO())
HALVES = ("setup", "prove")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_steps_say_name_and_seconds() -> None:
    out = io.StringIO()
    with step(1, "one", out) as progress:
        progress.note = "a note"
    with step(2, "two", out):
        pass
    first, second = out.getvalue().splitlines()
    assert re.fullmatch(r"\[1/8\] one … ok \(a note\) \d+\.\d s", first)
    assert re.fullmatch(r"\[2/8\] two … ok \d+\.\d s", second)
    assert "\x1b" not in out.getvalue()


def test_terminal_shows_what_a_step_is_at() -> None:
    out = Terminal()
    with step(1, "slow", out) as progress:
        run_command(
            [sys.executable, "-c", "import time; print('halfway', flush=True); time.sleep(0.5)"],
            cwd=PROJECT_ROOT,
            progress=progress,
        )
    assert "halfway" in out.getvalue()
    assert out.getvalue().splitlines()[-1].endswith(" s")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [(StepFailed("no network"), "failed after"), (KeyboardInterrupt(), "stopped after")],
)
def test_a_failure_closes_the_line_and_goes_on(error: BaseException, outcome: str) -> None:
    out = io.StringIO()
    with pytest.raises(type(error)), step(1, "one", out):
        raise error
    assert out.getvalue().startswith(f"[1/8] one … {outcome} 0.")
    assert out.getvalue().endswith(" s\n")


def test_setup_has_as_many_steps_as_they_say() -> None:
    code = "".join((PROJECT_ROOT / "dev" / f"{name}.py").read_text("utf-8") for name in HALVES)
    assert re.findall(r"with step\((\d+),", code) == [str(n) for n in range(1, STEPS + 1)]


def test_failed_command_shows_its_last_lines() -> None:
    code = "import sys; [print(n, flush=True) for n in range(100)]; sys.exit('why')"
    with pytest.raises(StepFailed) as failure:
        run_command([sys.executable, "-c", code], cwd=PROJECT_ROOT, progress=QUIET)
    lines = str(failure.value).splitlines()
    assert "why" in lines
    assert "99" in lines
    assert "5" not in lines


@pytest.mark.parametrize(
    ("setting", "extras"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318", ["--extra", "telemetry"]),
        ("OTEL_EXPORTER_OTLP_ENDPOINT=", []),
        ("# OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318", []),
    ],
)
def test_an_extra_is_installed_for_the_setting_that_needs_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, setting: str, extras: list[str]
) -> None:
    monkeypatch.setattr(uv, "PROJECT_ROOT", tmp_path)
    assert uv._extras() == []
    (tmp_path / ".env").write_text(f"SECRET_KEY=x\n{setting}\n", encoding="utf-8")
    assert uv._extras() == extras
    (tmp_path / ".env").write_text(f"{setting}\n", encoding="utf-16")
    assert uv._extras() == extras


def test_missing_program_is_said_plainly(tmp_path: Path) -> None:
    with pytest.raises(StepFailed, match="cannot be started"):
        run_command([tmp_path / "nothing"], cwd=PROJECT_ROOT, progress=QUIET)


def test_failed_setup_names_step_reason_and_the_way_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def offline(_: Progress) -> Path:
        raise StepFailed("the index does not answer")

    monkeypatch.setattr(subject, "find_uv", offline)
    monkeypatch.setattr(subject, "DATA_DIR", tmp_path / ".data")
    assert subject.setup() == 1
    said = capsys.readouterr().out
    assert "[1/8] uv … failed" in said
    assert "the index does not answer" in said
    assert said.strip().splitlines()[-1].endswith("-m app setup")


def test_constraints_pin_every_package_exactly() -> None:
    lines = (PROJECT_ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.]+", pin)] == []
    assert any(pin.startswith("uv==") for pin in pins)


def test_the_first_lock_has_the_tested_versions_and_asks_for_no_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """And leaves pyproject.toml as it is, so that `uv lock --upgrade` is free to update."""
    project = tmp_path / "project"
    project.mkdir()
    declared = '[project]\nname = "mine"\nversion = "0"\ndependencies = ["alembic"]\n'
    (project / "pyproject.toml").write_text(declared)
    monkeypatch.setattr(uv, "PROJECT_ROOT", project)
    monkeypatch.setattr(uv, "LOCK", project / "uv.lock")

    said = uv.make_lock(uv.find_uv(QUIET), QUIET)

    lock = tomllib.loads((project / "uv.lock").read_text(encoding="utf-8"))
    pins = uv.CONSTRAINTS.read_text(encoding="utf-8").splitlines()
    locked = [f"{one['name']}=={one['version']}" for one in lock["package"][:]]
    assert set(locked) - {"mine==0"} <= set(pins)
    assert said == f"{len(locked) - 1} packages"
    assert "manifest" not in lock
    assert (project / "pyproject.toml").read_text() == declared


def test_lock_that_is_there_is_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(uv, "refuse_workspace", lambda *_: None)
    lock = tmp_path / "uv.lock"
    lock.write_text("the user's")
    monkeypatch.setattr(uv, "LOCK", lock)
    assert uv.make_lock(tmp_path / "no-such-uv", QUIET) == "uv.lock is there"
    assert lock.read_text() == "the user's"


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for uv")
def test_failed_lock_leaves_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "uv"
    program.write_text("#!/bin/sh\necho 'error: dns error: failed to lookup' >&2\nexit 2\n")
    program.chmod(0o755)
    monkeypatch.setattr(uv, "LOCK", tmp_path / "uv.lock")
    monkeypatch.setattr(uv, "refuse_workspace", lambda *_: None)
    with pytest.raises(StepFailed, match="Is this machine online"):
        uv.make_lock(program, QUIET)
    assert not (tmp_path / "uv.lock").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for uv")
def test_uv_from_the_path_is_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = tmp_path / "uv"
    program.write_text("#!/bin/sh\necho uv 0.13.9\n")
    program.chmod(0o755)
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert uv.find_uv(QUIET) == program


def test_interpreters_are_never_downloaded(monkeypatch: pytest.MonkeyPatch) -> None:
    environments: list[dict[str, str]] = []

    def record(*_: object, env: dict[str, str], **__: object) -> list[str]:
        environments.append(env)
        return []

    monkeypatch.setenv("UV_PYTHON_DOWNLOADS", "automatic")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mirror.example/simple")
    monkeypatch.setattr(uv, "run_command", record)
    uv.run_uv(Path(shutil.which("uv") or "uv"), "sync", progress=QUIET)
    assert environments[0]["UV_PYTHON_DOWNLOADS"] == "never"
    assert environments[0]["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
