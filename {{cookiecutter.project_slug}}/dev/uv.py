"""uv, found or fetched; the project's first lock and its environment. Standard library only."""

import os
import shutil
import subprocess
import sysconfig
import tomllib
from pathlib import Path

from dev.environment import own_environment
from dev.paths import DATA_DIR, PROJECT_ROOT, VENV, program_of, python_of
from dev.steps import Progress, StepFailed, run_command
from engine.operate.index_advice import with_advice
from engine.operate.shell import base_python
from engine.settings.env_file import is_set

CONSTRAINTS = PROJECT_ROOT / "constraints.txt"
LOCK = PROJECT_ROOT / "uv.lock"
PRIVATE_UV = program_of(DATA_DIR / "uv", "uv")

# The setting that needs the extra `telemetry`.
TELEMETRY = "OTEL_EXPORTER_OTLP_ENDPOINT"

# The group of a PostgreSQL in a wheel. Its markers name the machines that have one.
EMBEDDED_DATABASE = "embedded-database"


def find_uv(progress: Progress) -> Path:
    """The first uv that takes this project; else one from pip, in an environment under `.data/`.

    pyproject.toml says which versions do (`required-version`).
    """
    refusals = []
    named = filter(None, (os.environ.get("UV"), shutil.which("uv"), str(PRIVATE_UV)))
    for place in filter(Path.exists, map(Path, named)):
        try:
            refuse_old(place)
        except StepFailed as failure:
            refusals.append(f"{place}: {failure}")
        else:
            return place
    try:
        _install(PRIVATE_UV, progress)
    except StepFailed as failure:
        raise StepFailed("\n".join([*refusals, str(failure)])) from failure
    return PRIVATE_UV


def refuse_old(uv: Path) -> None:
    """Raise `StepFailed` for a uv that is too old for this project, or another program."""
    if not "".join(run_command([uv, "--version"], cwd=PROJECT_ROOT)).startswith("uv "):
        raise StepFailed("it is not uv.")
    # Every command but --version heeds `required-version`.
    run_command([uv, "cache", "dir"], cwd=PROJECT_ROOT, env=own_environment())


def make_lock(uv: Path, progress: Progress) -> str:
    """Make `uv.lock` from the tested versions, unless there is one."""
    refuse_workspace(uv, progress)
    if LOCK.exists():
        return "uv.lock is there"
    # `uv lock` takes constraints from pyproject.toml alone, where they would last and keep `uv lock
    # --upgrade` from updates of security. `uv add` takes them from a file, this once; its
    # requirements come from an empty standard input.
    add = ("add", "--no-sync", "--requirements", "-", "--constraints", str(CONSTRAINTS))
    python = ("--python", base_python())
    try:
        # Exact versions need no news from the index: what uv remembers of it may be enough.
        run_uv(uv, *add, *python, "--offline", progress=progress)
    except StepFailed:
        run_uv(uv, *add, *python, progress=progress)
    return f"{LOCK.read_text('utf-8').count('[[package]]') - 1} packages"


def make_environment(uv: Path, progress: Progress) -> str:
    """Bring `.venv` to what `uv.lock` says, with the Python that runs this."""
    moved = has_moved(VENV)
    if moved:
        shutil.rmtree(VENV)
    python = [] if python_of(VENV).exists() else ["--python", base_python()]
    run_uv(uv, "sync", "--locked", *python, *_groups(), *_extras(), progress=progress)
    asked = [python_of(VENV), "-c", "import platform; print(platform.python_version())"]
    version = run_command(asked, cwd=PROJECT_ROOT, progress=progress)[-1]
    return f"Python {version}{', made anew as the folder has moved' if moved else ''}"


def refuse_workspace(uv: Path, progress: Progress) -> None:
    """Raise `StepFailed` where the project is a member of somebody's workspace.

    Its packages would be locked in the workspace's uv.lock, among all others'.
    """
    root = Path(run_uv(uv, "workspace", "dir", progress=progress)[-1])
    if os.path.samefile(root, PROJECT_ROOT):
        return
    file = root / "pyproject.toml"
    workspace = tomllib.loads(file.read_text(encoding="utf-8"))["tool"]["uv"]["workspace"]
    names = [*workspace.get("exclude", ()), PROJECT_ROOT.relative_to(root).as_posix()]
    excluded = ", ".join(f'"{name}"' for name in names)
    raise StepFailed(
        f"{file} makes this folder a member of its uv workspace, whose uv.lock setup would change. "
        f"Put into its [tool.uv.workspace]: exclude = [{excluded}]"
    )


def has_moved(venv: Path) -> bool:
    """True for an environment that was made in another folder: its programs start a Python there."""
    program = program_of(venv, "alembic")
    is_own = program.exists() and not venv.is_symlink()
    return is_own and os.fsencode(venv) not in program.read_bytes()


def _groups() -> list[str]:
    project = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    is_wanted = EMBEDDED_DATABASE in project.get("dependency-groups", {})
    # There is no wheel for musl (Alpine), which no marker can tell from glibc.
    is_musl = "musl" in str(sysconfig.get_config_var("SOABI"))
    return ["--group", EMBEDDED_DATABASE] if is_wanted and not is_musl else []


def _extras() -> list[str]:
    """The extras of the project that settings need."""
    return ["--extra", "telemetry"] if is_set(TELEMETRY, PROJECT_ROOT / ".env") else []


def run_uv(uv: Path, *arguments: str, progress: Progress) -> list[str]:
    ours = {"UV_PROJECT_ENVIRONMENT": str(VENV), "UV_PYTHON_DOWNLOADS": "never"}
    environment = own_environment(**ours, **_cache(uv))
    try:
        return run_command([uv, *arguments], cwd=PROJECT_ROOT, env=environment, progress=progress)
    except StepFailed as failure:
        raise StepFailed(with_advice(str(failure))) from failure


def _install(uv: Path, progress: Progress) -> None:
    venv, python, has_pip = uv.parents[1], base_python(), _has_pip(base_python())
    shutil.rmtree(venv, ignore_errors=True)
    # Where Linux distributions split Python up, pip may be there and ensurepip not.
    make = [python, "-m", "venv", *(["--without-pip"] if has_pip else []), venv]
    pip = (
        [python, "-m", "pip", "--python", python_of(venv)]
        if has_pip
        else [python_of(venv), "-m", "pip"]
    )
    quietly = ["--quiet", "--disable-pip-version-check"]
    progress.say("fetching uv")
    try:
        for command in (make, [*pip, "install", *quietly, "--constraint", CONSTRAINTS, "uv"]):
            run_command(command, cwd=PROJECT_ROOT, env=_pip_environment(), progress=progress)
        if not uv.exists():
            raise StepFailed(
                f"pip has put uv elsewhere than into {venv}. Its configuration decides where: see "
                "`python -m pip config list`, unset target, prefix and root, or install uv."
            )
    except StepFailed as failure:
        shutil.rmtree(venv, ignore_errors=True)
        raise StepFailed(with_advice(str(failure))) from failure


def _has_pip(python: str) -> bool:
    asked = [python, "-m", "pip", "--version"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


def _pip_environment() -> dict[str, str]:
    authorities = os.environ.get("SSL_CERT_FILE")
    known = {"PIP_CERT": authorities} if authorities and "PIP_CERT" not in os.environ else {}
    # pip's own files may say `user`, which no virtual environment allows.
    return own_environment(PIP_USER="0", **known)


def _cache(uv: Path) -> dict[str, str]:
    """A cache in the project where uv's own place, in the home folder, cannot be written."""
    if {"UV_CACHE_DIR", "UV_NO_CACHE"} & os.environ.keys():
        return {}
    try:
        asked = [str(uv), "cache", "dir"]
        said = subprocess.run(asked, capture_output=True, encoding="utf-8", check=False)
        Path(said.stdout.strip() or DATA_DIR).mkdir(parents=True, exist_ok=True)
    except OSError:
        return {"UV_CACHE_DIR": str(DATA_DIR / "uv-cache")}
    return {}
