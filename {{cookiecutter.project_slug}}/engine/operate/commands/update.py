"""`python3 -m app update`: a newer template, or other answers, in a project that goes on.

Every change to the files is taken back when a later step fails: they are committed before.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from engine.operate.ask import is_sure

CRUFT = "cruft>=2.15"
NEVER_TOLD = (
    "This project does not say from which template it was made: .cruft.json is missing. "
    "Write it with: uvx cruft link <the template's address>"
)
NOT_COMMITTED = (
    "Commit or stash your changes first: `git status` has to be clean, so that an update that fails "
    "can be taken back."
)


class UpdateFailed(Exception):
    """Why a step could not be done."""


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Any:
    update = commands.add_parser(
        "update",
        help="a newer template, or other answers",
        epilog="example: python3 -m app update --set dictation=yes",
    )
    update.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="QUESTION=ANSWER",
        help="another answer, such as dictation=yes; may be repeated",
    )
    update.add_argument("--to", metavar="REVISION", help="of the template; default: its newest")
    update.add_argument("--yes", action="store_true", help="do not ask after the diff")
    return update


def run(options: argparse.Namespace) -> int:
    from engine.settings.settings import PROJECT_ROOT

    answers = dict(answer.partition("=")[::2] for answer in options.set)
    return Update(PROJECT_ROOT, answers, options.to, is_confirmed=options.yes).run()


class Update:
    def __init__(
        self, root: Path, answers: Mapping[str, str], to: str | None, *, is_confirmed: bool
    ) -> None:
        self._root, self._answers, self._to = root, answers, to
        self._is_confirmed = is_confirmed
        self._environment: dict[str, str] = {}

    def run(self) -> int:
        """Run every step; return the process's exit code."""
        before = _revisions()
        try:
            self._refuse_unready()
            prefix = self._kept_answers().get("table_prefix")
            if not self._change_files():
                return 0
        except UpdateFailed as failure:
            print(failure)
            return 1
        steps: dict[str, Callable[[], None]] = {
            "answers": self._refuse_unknown_questions,
            "conflicts": self._refuse_conflicts,
            "diff": self._show,
            "lock": lambda: self._uv("lock"),
            "environment": lambda: self._uv("sync", "--locked", "--inexact"),
            "checks": self._check,
            "migrations": lambda: self._app(
                "migrate", "--in-one-transaction", *self._rename(prefix)
            ),
            "smoke test": lambda: self._app("smoke"),
        }
        for name, step in steps.items():
            try:
                print(f"{name} …", flush=True)
                step()
            except (UpdateFailed, KeyboardInterrupt) as failure:
                self._take_back(name, failure, before)
                return 1
        self._say_what_is_left()
        return 0

    def _refuse_unready(self) -> None:
        if not (self._root / ".cruft.json").exists():
            raise UpdateFailed(NEVER_TOLD)
        if shutil.which("git") is None or self._git("status", "--porcelain"):
            raise UpdateFailed(NOT_COMMITTED)

    def _change_files(self) -> bool:
        """False if there is nothing to change."""
        try:
            # Typer draws frames around tracebacks otherwise.
            plain = {"CHATKIT_SETUP": "skip", "_TYPER_STANDARD_TRACEBACK": "1"}
            said = self._call(*self._cruft(), **plain)
        except UpdateFailed as failure:
            raise UpdateFailed(_reason(str(failure))) from failure
        changed = bool(self._git("status", "--porcelain"))
        if not changed:
            self._refuse_unknown_questions()
            print(said.strip())
        return changed

    def _refuse_unknown_questions(self) -> None:
        """Cruft leaves out answers to questions that the template does not ask."""
        asked = [name for name in self._kept_answers() if not name.startswith("_")]
        if unknown := [name for name in self._answers if name not in asked]:
            raise UpdateFailed(
                f"The template has no question {', '.join(unknown)}. It has: {', '.join(asked)}."
            )

    def _cruft(self) -> list[str]:
        program = shutil.which("cruft")
        start = [program] if program else [self._find_uv(), "tool", "run", "--from", CRUFT, "cruft"]
        words = [*start, "update", "--skip-apply-ask"]
        words += ["--checkout", self._to] if self._to else []
        words += ["--variables-to-update", json.dumps(self._answers)] if self._answers else []
        return words

    def _refuse_conflicts(self) -> None:
        files = self._git("diff", "--name-only", "--diff-filter=U").split()
        files += self._git("ls-files", "--others", "--exclude-standard", "*.rej").split()
        if files:
            words = subprocess.list2cmdline(self._cruft())
            raise UpdateFailed(
                f"You and the template have changed the same lines of {', '.join(files)}. To resolve "
                f"that by hand: {words}\nThen remove the marks of conflicts, and run: python3 -m app setup"
            )

    def _show(self) -> None:
        self._git("add", "--all", "--intent-to-add", ".")
        print(self._git("diff", "HEAD", "--stat", "--patch"))
        if not self._is_confirmed and not is_sure("Keep these changes, and go on?"):
            raise UpdateFailed("You did not want these changes.")

    def _check(self) -> None:
        self._call(sys.executable, "-m", "ruff", "check", ".")
        self._call(sys.executable, "-c", "from app.main import create_app")
        self._find_new_settings()

    def _find_new_settings(self) -> None:
        """Give settings that `.env` lacks a value for these checks alone; setup writes them later."""
        from engine.settings.env_text import read_env_text

        with tempfile.TemporaryDirectory() as folder:
            env = Path(folder, ".env")
            if (self._root / ".env").exists():
                shutil.copy(self._root / ".env", env)
            write = (
                "import sys; from pathlib import Path; from engine.settings.env_file import "
                "write_env_file; print(*write_env_file(Path(sys.argv[1]), Path('.env.example')))"
            )
            names = self._call(sys.executable, "-c", write, str(env)).split()
            values = dict(
                line.split("=", 1) for line in read_env_text(env).splitlines() if "=" in line
            )
        self._environment = {name: values[name] for name in names if name in values}

    def _rename(self, old: str | None) -> list[str]:
        """With another prefix, the tables that are there get it."""
        is_same = self._kept_answers().get("table_prefix") == old
        return [] if old is None or is_same else ["--rename-from", old]

    def _kept_answers(self) -> dict[str, Any]:
        kept = json.loads((self._root / ".cruft.json").read_text(encoding="utf-8"))
        answers: dict[str, Any] = kept["context"]["cookiecutter"]
        return answers

    def _take_back(self, step: str, failure: BaseException, before: list[str]) -> None:
        self._git("reset", "--hard", "--quiet", "HEAD")
        self._git("clean", "-d", "--force", "--quiet", ".")
        if step not in {"answers", "conflicts", "diff", "lock"}:
            self._uv("sync", "--locked", "--inexact")
        print(f"\n{step}: {str(failure) or 'interrupted'}")
        print("The files are as they were before.")
        now = _revisions()
        there = f"{', '.join(now) or 'no migration'}"
        print(
            f"The database is where it was: at {there}."
            if now == before
            else f"The database has been migrated: it is at {there}. Run the update again, or restore it."
        )

    def _say_what_is_left(self) -> None:
        print("\nDone. Look at `git diff HEAD`, run the tests, and commit.")
        if self._environment:
            print(
                f"New settings: {', '.join(self._environment)}. To add them to .env: python3 -m app setup"
            )

    def _app(self, *words: str) -> None:
        print(self._call(sys.executable, "-m", "app", *words, **self._environment).strip())

    def _uv(self, *words: str) -> None:
        self._call(self._find_uv(), *words, UV_PROJECT_ENVIRONMENT=sys.prefix)

    def _find_uv(self) -> str:
        private = self._root / ".data" / "uv" / "bin" / "uv"
        found = os.environ.get("UV") or shutil.which("uv") or str(private)
        if shutil.which(found) is None:
            raise UpdateFailed("uv is not on the PATH. Run: python3 -m app setup")
        return found

    def _git(self, *words: str) -> str:
        return self._call("git", *words)

    def _call(self, *words: str, **environment: str) -> str:
        done = subprocess.run(  # noqa: S603 (git, uv, cruft, and commands of ours)
            words,
            cwd=self._root,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise UpdateFailed(done.stdout.strip())
        return done.stdout


def _reason(said: str) -> str:
    """Why Cruft has ended: what the template's hook wrote, or the exception's own words. The hook's
    command would generate another project.
    """
    of_hook = re.split(
        r"^(?:To repeat it with all answers|Stopping generation|Traceback \(most)", said, flags=re.M
    )[0]
    of_exception = re.findall(r"^[\w.]+: (.+)", said, flags=re.M)
    reason = of_hook.strip() or (of_exception[-1] if of_exception else said)
    return f"{reason}\nNothing has been changed."


def _revisions() -> list[str]:
    from engine.operate.commands.database import database_url
    from engine.operate.commands.migrate import revisions

    return revisions(database_url())
