"""From a fresh checkout to a proven application: `python3 -m app setup`.

Runs on a bare Python 3.11 or newer. Nothing here imports what is not in the standard library;
what needs the dependencies runs inside `.venv`. Each step finds its work done or does it, so
the same command finishes what an earlier one began.
"""

import os
import subprocess
from pathlib import Path

from dev.environment import own_environment
from dev.page import bundle_page
from dev.paths import DATA_DIR, PROJECT_ROOT, VENV, python_of
from dev.steps import StepFailed, step
from dev.uv import find_uv, make_environment, make_lock
from engine.operate.shell import command, quoted
from engine.settings.env_file import write_env_file
from engine.settings.env_text import UnreadableEnvFile

NEXT_STEPS = """
What next, in bash and in PowerShell:{where}
  {dev:<{width}}  the chat, at http://127.0.0.1:8000
  {test:<{width}}  the test suite

Commit everything that git shows, uv.lock too. Not .env: it holds this machine's secrets, and
git ignores it, as it does .venv and .data.
To talk to a real model, put its key into .env. README.md says the rest.
"""


def setup() -> int:
    """Run every step; return the process's exit code."""
    DATA_DIR.mkdir(exist_ok=True)
    try:
        _prepare()
        code = _prove()
    except (StepFailed, UnreadableEnvFile) as failure:
        print(f"\n{failure}")
        code = 1
    except KeyboardInterrupt:
        code = 130
    if code != 0:
        print(f"\nEverything done so far is kept. To go on: {_again()}")
        return code
    dev, test = command("dev"), f"{python_of(Path(VENV.name)).as_posix()} -m pytest"
    width = max(len(dev), len(test))
    print(NEXT_STEPS.format(where=_where("\n  cd {}"), dev=dev, test=test, width=width))
    return 0


def _prepare() -> None:
    """The steps that need nothing but the standard library."""
    with step(1, "uv") as progress:
        uv = find_uv(progress)
        progress.note = str(uv)
    with step(2, "lock") as progress:
        progress.note = make_lock(uv, progress)
    with step(3, "environment") as progress:
        progress.note = make_environment(uv, progress)
    with step(4, "settings") as progress:
        gained = write_env_file(PROJECT_ROOT / ".env", PROJECT_ROOT / ".env.example")
        progress.note = f".env with a fresh {' and '.join(gained)}" if gained else ".env is there"
    with step(5, "page") as progress:
        progress.note = bundle_page(progress)


def _prove() -> int:
    """The steps that need the dependencies, inside `.venv`; they speak for themselves."""
    command = [str(python_of(VENV)), "-m", "dev.prove"]
    environment = own_environment(PYTHONIOENCODING="utf-8:replace")
    return subprocess.call(command, cwd=PROJECT_ROOT, env=environment)


def _again() -> str:
    """The command that goes on, with the Python that was good enough to begin."""
    return f"{_where('cd {}; ')}{command('setup')}"


def _where(cd: str) -> str:
    """How to get here, for somebody whose shell is elsewhere: the hook starts this in here."""
    shell = Path(os.environ.get("PWD") or Path.cwd())
    return "" if shell == PROJECT_ROOT else cd.format(quoted(str(PROJECT_ROOT)))
