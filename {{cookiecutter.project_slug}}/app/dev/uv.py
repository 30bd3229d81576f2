"""uv: found or fetched, and the project's first lock. Standard library only."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from app.dev.paths import DATA_DIR, PROJECT_ROOT, VENV, base_python, python_of, uv_of
from app.dev.steps import Progress, StepFailed, run_command

CONSTRAINTS = PROJECT_ROOT / "constraints.txt"
LOCK = PROJECT_ROOT / "uv.lock"

LITELLM = re.compile(r"(MODELS?|TITLE_MODEL)\s*=.*\blitellm/", re.IGNORECASE)

OFFLINE = re.compile(
    r"dns error|error trying to connect|failed to fetch|tcp connect error|connection refused|"
    r"network is unreachable|temporary failure in name resolution|no matching distribution",
    re.IGNORECASE,
)


def find_uv(progress: Progress) -> Path:
    """uv from the PATH, else from pip, in an environment of its own under `.data/`."""
    private = uv_of(DATA_DIR / "uv")
    for candidate in (os.environ.get("UV"), shutil.which("uv"), private):
        if candidate and _answers(candidate):
            return Path(candidate)
    _install(private, progress)
    return private


def make_lock(uv: Path, progress: Progress) -> str:
    """Make `uv.lock` from the tested versions, unless there is one."""
    if LOCK.exists():
        return "uv.lock is there"
    pins = read_pins(CONSTRAINTS)
    python = ["--python", base_python()]
    # `uv lock` takes constraints from the project's own file alone, and a lock remembers them.
    # So they are in a passing copy; locking again in the project itself keeps the versions and
    # drops the constraints, which leaves the user free to update.
    with TemporaryDirectory() as folder:
        copy = Path(folder)
        project = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")
        (copy / "pyproject.toml").write_text(with_constraints(project, pins), encoding="utf-8")
        _lock(uv, *python, cwd=copy, progress=progress)
        shutil.copyfile(copy / "uv.lock", LOCK)
    try:
        _lock(uv, *python, cwd=PROJECT_ROOT, progress=progress)
        check_lock(LOCK, pins)
    except BaseException:
        LOCK.unlink(missing_ok=True)
        raise
    return f"{len(locked_versions(LOCK))} packages"


def make_environment(uv: Path, progress: Progress) -> str:
    """Bring `.venv` to what `uv.lock` says, with the Python that runs this."""
    python = [] if python_of(VENV).exists() else ["--python", base_python()]
    run_uv(uv, "sync", "--locked", *python, *_extras(), progress=progress)
    version = run_command(
        [python_of(VENV), "-c", "import platform; print(platform.python_version())"],
        cwd=PROJECT_ROOT,
        progress=progress,
    )
    return f"Python {version[-1]}"


def _extras() -> list[str]:
    """What settings ask for beyond the project's own dependencies."""
    env = PROJECT_ROOT / ".env"
    written = env.read_text(encoding="utf-8").splitlines() if env.exists() else []
    settings = [*written, *(f"{name}={value}" for name, value in os.environ.items())]
    return ["--extra", "litellm"] if any(map(LITELLM.match, settings)) else []


def _lock(uv: Path, *arguments: str, cwd: Path, progress: Progress) -> None:
    """Exact versions need no news from the index, so what uv remembers of it may be enough."""
    try:
        run_uv(uv, "lock", "--offline", *arguments, cwd=cwd, progress=progress)
    except StepFailed:
        run_uv(uv, "lock", *arguments, cwd=cwd, progress=progress)


def run_uv(uv: Path, *arguments: str, cwd: Path = PROJECT_ROOT, progress: Progress) -> None:
    try:
        run_command([uv, *arguments], cwd=cwd, env=_environment(), progress=progress)
    except StepFailed as failure:
        raise _explained(failure) from failure


def with_constraints(project: str, pins: dict[str, str]) -> str:
    """The text of a pyproject.toml, with uv told to take exactly these versions."""
    listed = json.dumps([f"{name}=={version}" for name, version in pins.items()])
    head, table, tail = project.partition("[tool.uv]\n")
    return f"{head}[tool.uv]\nconstraint-dependencies = {listed}\n{tail if table else ''}"


def read_pins(constraints: Path) -> dict[str, str]:
    lines = (line.partition("#")[0].strip() for line in constraints.read_text("utf-8").splitlines())
    return dict(_pin(line) for line in lines if line)


def locked_versions(lock: Path) -> dict[str, str]:
    packages = tomllib.loads(lock.read_text(encoding="utf-8"))["package"]
    return {p["name"]: p["version"] for p in packages if "registry" in p["source"]}


def check_lock(lock: Path, pins: dict[str, str]) -> None:
    """Raise `StepFailed` when a locked version is another than the tested one."""
    wrong = [
        f"{name} {version} instead of {pins[name]}"
        for name, version in locked_versions(lock).items()
        if pins.get(name, version) != version
    ]
    if wrong:
        raise StepFailed("uv.lock has other versions than constraints.txt: " + ", ".join(wrong))


def _pin(line: str) -> tuple[str, str]:
    name, _, version = line.partition("==")
    return name, version


def _answers(uv: str | Path) -> bool:
    try:
        done = subprocess.run([str(uv), "--version"], capture_output=True, check=False)
    except OSError:
        return False
    return done.returncode == 0


def _install(uv: Path, progress: Progress) -> None:
    venv, python = uv.parents[1], base_python()
    shutil.rmtree(venv, ignore_errors=True)
    pinned = f"uv=={read_pins(CONSTRAINTS)['uv']}"
    package = ["install", "--quiet", "--disable-pip-version-check", pinned]
    if _has_pip(python):
        # Where Linux distributions split Python up, pip may be there and ensurepip not.
        commands: Sequence[Sequence[str]] = (
            [python, "-m", "venv", "--without-pip", str(venv)],
            [python, "-m", "pip", "--python", str(python_of(venv)), *package],
        )
    else:
        commands = (
            [python, "-m", "venv", str(venv)],
            [str(python_of(venv)), "-m", "pip", *package],
        )
    progress.say("fetching uv")
    try:
        for command in commands:
            run_command(command, cwd=PROJECT_ROOT, progress=progress)
    except StepFailed as failure:
        shutil.rmtree(venv, ignore_errors=True)
        raise _explained(failure) from failure


def _has_pip(python: str) -> bool:
    done = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)
    return done.returncode == 0


def _environment() -> dict[str, str]:
    environment = {k: v for k, v in os.environ.items() if k != "VIRTUAL_ENV"}
    return environment | {"UV_PROJECT_ENVIRONMENT": str(VENV), "UV_PYTHON_DOWNLOADS": "never"}


def _explained(failure: StepFailed) -> StepFailed:
    if not OFFLINE.search(str(failure)):
        return failure
    return StepFailed(
        f"{failure}\nThe package index does not answer. Is this machine online? Behind a proxy or "
        "a mirror: HTTPS_PROXY, UV_DEFAULT_INDEX and pip's own settings are respected."
    )
