"""From a fresh checkout to a proven application: `python -m app setup`.

Runs on a bare Python 3.11 or newer. Nothing here imports what is not in the standard library;
what needs the dependencies runs inside `.venv`. Each step finds its work done or does it, so
the same command finishes what an earlier one began.
"""

import os
import shutil
import sys
from pathlib import Path

from app.dev.env_file import write_env_file
from app.dev.paths import DATA_DIR, POSTGRES_DIR, PROJECT_ROOT, VENV, base_python, python_of
from app.dev.postgres import Postgres
from app.dev.steps import Progress, Step, StepFailed, run_command, run_steps
from app.dev.uv import find_uv, make_environment, make_lock

NEXT_STEPS = """
Done. What now:
  {dev:<{width}}  the chat, at http://127.0.0.1:8000
  {test:<{width}}  the test suite

Commit everything that git shows, uv.lock too. Not .env: it holds this machine's secrets, and
git ignores it, as it does .venv and .data.
To talk to a real model, put OPENAI_API_KEY into .env. README.md says the rest.
"""


def setup() -> int:
    """Run every step; return the process's exit code."""
    DATA_DIR.mkdir(exist_ok=True)
    was_running = Postgres(POSTGRES_DIR).is_running()
    try:
        run_steps(_Setup().steps())
    except StepFailed as failure:
        print(f"\n{failure}\n\nEverything done so far is kept. To go on: {_again('setup')}")
        return 1
    except KeyboardInterrupt:
        print(f"\nEverything done so far is kept. To go on: {_again('setup')}")
        return 130
    finally:
        if not was_running:
            _stop_database()
    dev = _again("dev")
    test = "uv run pytest" if shutil.which("uv") else f"{python_of(Path(VENV.name))} -m pytest"
    print(NEXT_STEPS.format(dev=dev, test=test, width=max(len(dev), len(test))))
    return 0


class _Setup:
    def steps(self) -> list[Step]:
        return [
            Step("uv", self._uv),
            Step("lock", lambda progress: make_lock(self.uv, progress)),
            Step("environment", lambda progress: make_environment(self.uv, progress)),
            Step("settings", _settings),
            Step("database", lambda progress: _app("db", "start", progress=progress)),
            Step("migrations", lambda progress: _app("migrate", progress=progress)),
            Step("smoke test", lambda progress: _app("smoke", progress=progress)),
        ]

    def _uv(self, progress: Progress) -> str:
        self.uv: Path = find_uv(progress)
        return str(self.uv)


def _settings(_progress: Progress) -> str:
    gained = write_env_file(PROJECT_ROOT / ".env", PROJECT_ROOT / ".env.example")
    return f".env with a fresh {' and '.join(gained)}" if gained else ".env is there"


def _app(*arguments: str, progress: Progress) -> str:
    """One of the project's own commands, inside `.venv`. Returns the last line that it said."""
    environment = os.environ | {"PYTHONIOENCODING": "utf-8"}
    command = [str(python_of(VENV)), "-m", "app", *arguments]
    said = run_command(command, cwd=PROJECT_ROOT, env=environment, progress=progress)
    return next((line for line in reversed(said) if line), "")


def _stop_database() -> None:
    if Postgres(POSTGRES_DIR).is_running():
        with Progress("stopping the database", sys.stdout) as progress:
            _app("db", "stop", progress=progress)
            progress.finish("ok")


def _again(command: str) -> str:
    base = base_python()
    python = next((name for name in ("python3", "python") if _is(shutil.which(name), base)), base)
    cd = "" if Path.cwd() == PROJECT_ROOT else f'cd "{PROJECT_ROOT}" && '
    return f"{cd}{python} -m app {command}"


def _is(found: str | None, python: str) -> bool:
    return found is not None and Path(found).resolve() == Path(python).resolve()
