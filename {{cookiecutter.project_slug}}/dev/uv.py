"""uv: found or fetched, and the project's first lock. Standard library only."""

import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dev.environment import own_environment
from dev.paths import DATA_DIR, PROJECT_ROOT, VENV, base_python, program_of, python_of, uv_of
from dev.steps import Progress, StepFailed, run_command
from dev.workspace import check_workspace

CONSTRAINTS = PROJECT_ROOT / "constraints.txt"
LOCK = PROJECT_ROOT / "uv.lock"

LITELLM = re.compile(r"(MODELS?|TITLE_MODEL)\s*=.*\blitellm/", re.IGNORECASE)

# The first that knows dependency groups.
OLDEST_UV = (0, 4, 27)

# The group of a PostgreSQL in a wheel, and the machines that it is made for.
EMBEDDED_DATABASE = "embedded-database"
EMBEDDED_MACHINES = {
    "darwin": {"arm64", "x86_64"},
    "linux": {"aarch64", "armv7l", "x86_64"},
    "win32": {"AMD64"},
}

# What uv or pip says -> what to do about it. The first that fits counts.
MENDS = {
    r"peer certificate|certificate[ _]verify[ _]failed|self.signed certificate": (
        "The package index, or a proxy before it, has a certificate of an authority that is not "
        "known here. Set SSL_CERT_FILE to a file with that authority's certificate (PEM)."
    ),
    r"network connectivity is disabled|network was disabled|--offline": (
        "uv was told to stay offline, and its cache lacks packages. Unset UV_OFFLINE."
    ),
    r"dns error|error trying to connect|failed to fetch|tcp connect error|connection refused|"
    r"network is unreachable|temporary failure in name resolution|no matching distribution": (
        "The package index does not answer. Is this machine online? Behind a proxy or a mirror: "
        "HTTPS_PROXY, UV_DEFAULT_INDEX and pip's own settings are respected."
    ),
}


def find_uv(progress: Progress) -> Path:
    """uv from the PATH, else from pip, in an environment of its own under `.data/`."""
    private = uv_of(DATA_DIR / "uv")
    too_old = []
    for candidate in (os.environ.get("UV"), shutil.which("uv"), private):
        version = _version(candidate) if candidate else None
        if candidate and version and version >= OLDEST_UV:
            return Path(candidate)
        if version and candidate:
            too_old.append(f"{candidate} is uv {_dotted(version)}, and {_dotted(OLDEST_UV)} or ")
    try:
        _install(private, progress)
    except StepFailed as failure:
        old = "".join(f"{found}newer is needed.\n" for found in too_old)
        raise StepFailed(f"{old}{failure}") from failure
    return private


def make_lock(uv: Path, progress: Progress) -> str:
    """Make `uv.lock` from the tested versions, unless there is one."""
    check_workspace(PROJECT_ROOT)
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
    moved = has_moved(VENV)
    if moved:
        shutil.rmtree(VENV)
    python = [] if python_of(VENV).exists() else ["--python", base_python()]
    run_uv(uv, "sync", "--locked", *python, *_groups(), *_extras(), progress=progress)
    version = run_command(
        [python_of(VENV), "-c", "import platform; print(platform.python_version())"],
        cwd=PROJECT_ROOT,
        progress=progress,
    )
    return f"Python {version[-1]}{', made anew as the folder has moved' if moved else ''}"


def has_moved(venv: Path) -> bool:
    """True for an environment that was made in another folder: its programs start a Python there."""
    if venv.is_symlink():
        return False
    program = program_of(venv, "alembic")
    return program.exists() and os.fsencode(venv) not in program.read_bytes()


def has_embedded_database() -> bool:
    """Whether a wheel with PostgreSQL is made for this machine. There is none for musl (Alpine)."""
    is_musl = "musl" in str(sysconfig.get_config_var("SOABI"))
    return platform.machine() in EMBEDDED_MACHINES.get(sys.platform, ()) and not is_musl


def _groups() -> list[str]:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    is_wanted = EMBEDDED_DATABASE in project.get("dependency-groups", {})
    return ["--group", EMBEDDED_DATABASE] if is_wanted and has_embedded_database() else []


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
        run_command([uv, *arguments], cwd=cwd, env=_environment(uv), progress=progress)
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


def _version(uv: str | Path) -> tuple[int, ...] | None:
    """None for what is no uv that starts."""
    try:
        said = subprocess.run(
            [str(uv), "--version"], capture_output=True, encoding="utf-8", check=False
        )
    except (OSError, ValueError):
        return None
    version = re.match(r"uv (\d+)\.(\d+)\.(\d+)", said.stdout)
    return tuple(map(int, version.groups())) if version and said.returncode == 0 else None


def _dotted(version: Sequence[int]) -> str:
    return ".".join(map(str, version))


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
            run_command(command, cwd=PROJECT_ROOT, env=_pip_environment(), progress=progress)
        if not uv.exists():
            raise StepFailed(
                f"pip has put uv elsewhere than into {venv}. Its configuration decides where: see "
                "`python -m pip config list`, unset target, prefix and root, or install uv."
            )
    except StepFailed as failure:
        shutil.rmtree(venv, ignore_errors=True)
        raise _explained(failure) from failure


def _has_pip(python: str) -> bool:
    done = subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False)
    return done.returncode == 0


def _environment(uv: Path) -> dict[str, str]:
    ours = {"UV_PROJECT_ENVIRONMENT": str(VENV), "UV_PYTHON_DOWNLOADS": "never"}
    return own_environment(**ours, **_cache(uv))


def _cache(uv: Path) -> dict[str, str]:
    """A cache in the project where uv's own place, in the home folder, cannot be written."""
    if {"UV_CACHE_DIR", "UV_NO_CACHE"} & os.environ.keys():
        return {}
    command = [str(uv), "cache", "dir"]
    try:
        said = subprocess.run(command, capture_output=True, encoding="utf-8", check=False)
        Path(said.stdout.strip() or DATA_DIR).mkdir(parents=True, exist_ok=True)
    except OSError:
        return {"UV_CACHE_DIR": str(DATA_DIR / "uv-cache")}
    return {}


def _pip_environment() -> dict[str, str]:
    authorities = os.environ.get("SSL_CERT_FILE")
    known = {"PIP_CERT": authorities} if authorities and "PIP_CERT" not in os.environ else {}
    # pip's own files may say `user`, which no virtual environment allows.
    return own_environment(PIP_USER="0", **known)


def _explained(failure: StepFailed) -> StepFailed:
    if "PIP_NO_INDEX" in os.environ and "no matching distribution" in str(failure).lower():
        return StepFailed(
            f"{failure}\nPIP_NO_INDEX keeps pip from the index. Unset it, or install uv."
        )
    for sign, mend in MENDS.items():
        if re.search(sign, str(failure), re.IGNORECASE):
            return StepFailed(f"{failure}\n{mend}")
    return failure
