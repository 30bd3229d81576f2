"""Commands that can be pasted into bash, zsh and PowerShell alike. Standard library only."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path


def quoted(word: str) -> str:
    if os.name != "nt":
        return shlex.quote(word)
    return "'" + word.replace("'", "''") + "'"


def command(name: str) -> str:
    """`python3 -m app <name>`; with another Python where the one here is not called python3."""
    return f"{_safe_path()}{_python()} -m app {name}"


def base_python() -> str:
    """The interpreter behind the virtual environment that runs this, or the running one."""
    return str(getattr(sys, "_base_executable", None) or sys.executable)


def _python() -> str:
    base = Path(base_python()).resolve()
    found = {name: shutil.which(name) for name in ("python3", "python", "py")}
    same = (name for name, path in found.items() if path and _leads_to(base, path))
    return next(same, quoted(base_python()))


def _leads_to(base: Path, program: str) -> bool:
    """True if the program is a link to that interpreter, or a shim (pyenv, asdf) that starts it."""
    if Path(program).resolve() == base:
        return True
    ask = [program, "-c", "import sys; print(getattr(sys, '_base_executable', sys.executable))"]
    try:
        asked = subprocess.run(  # noqa: S603 (a Python on the PATH)
            ask, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    said = asked.stdout.decode(errors="replace").strip()
    return bool(said) and Path(said).resolve() == base


def _safe_path() -> str:
    """With PYTHONSAFEPATH, Python does not find `app` in the present folder."""
    if not os.environ.get("PYTHONSAFEPATH"):
        return ""
    return "$env:PYTHONSAFEPATH=''; " if os.name == "nt" else "PYTHONSAFEPATH= "
