"""Commands that can be pasted into bash, zsh and PowerShell alike. Standard library only."""

import os
import shlex
import shutil
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
    base = Path(base_python())
    names = ("python3", "python", "py")
    found = {name: shutil.which(name) for name in names}
    # An environment's Python is a link to its base.
    same = [name for name, path in found.items() if path and Path(path).resolve() == base.resolve()]
    return [*same, quoted(str(base))][0]


def _safe_path() -> str:
    """With PYTHONSAFEPATH, Python does not find `app` in the present folder."""
    if not os.environ.get("PYTHONSAFEPATH"):
        return ""
    return "$env:PYTHONSAFEPATH=''; " if os.name == "nt" else "PYTHONSAFEPATH= "
