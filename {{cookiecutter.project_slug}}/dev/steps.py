"""Steps that say what they do, how long it took, and what went wrong."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

STEPS = 8
LAST_LINES = 20


class StepFailed(Exception):
    """Why a step could not be done, in words for the person in front of the terminal."""


class Progress:
    """One step's line: rewritten while it runs on a terminal, written once everywhere else."""

    note = ""

    def __init__(self, label: str, out: TextIO) -> None:
        self._label, self._out, self._detail = label, out, ""
        self._started, self._done = time.monotonic(), threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True) if out.isatty() else None

    def begin(self) -> None:
        if self._ticker:
            self._ticker.start()
        else:
            self._write(f"{self._label} … ")

    def say(self, detail: str) -> None:
        """Show what the step is at just now; only a terminal sees it."""
        self._detail = detail

    def finish(self, outcome: str) -> None:
        self._done.set()
        if self._ticker:
            self._ticker.join()
            self._write(f"\r\x1b[K{self._label} … ")
        self._write(f"{outcome} {self._seconds():.1f} s\n")

    def _tick(self) -> None:
        while not self._done.wait(0.1):
            line = f"{self._label} … {self._seconds():.0f} s  {self._detail}"
            self._write(f"\r\x1b[K{line[:100]}")

    def _write(self, text: str) -> None:
        self._out.write(text)
        self._out.flush()

    def _seconds(self) -> float:
        return time.monotonic() - self._started


@contextmanager
def step(number: int, name: str, out: TextIO | None = None) -> Iterator[Progress]:
    """Show a step of setup while its block runs; the `note` that it sets stands behind "ok".

    Its line is closed before an error leaves the block.
    """
    progress = Progress(f"[{number}/{STEPS}] {name}", out or sys.stdout)
    outcome = "stopped after"  # by Ctrl-C
    try:
        progress.begin()
        yield progress
        outcome = f"ok ({progress.note})" if progress.note else "ok"
    except Exception:
        outcome = "failed after"
        raise
    finally:
        progress.finish(outcome)


def run_command(
    command: Sequence[object],
    *,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> list[str]:
    """Run a program to its end and return what it said, or raise `StepFailed` with the last of it."""
    said: list[str] = []
    try:
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise StepFailed(f"{command[0]} cannot be started: {error}") from error
    with process:
        for line in process.stdout or ():
            said.append(line.rstrip())
            if progress is not None:
                progress.say(line.strip())
    if process.returncode != 0:
        raise StepFailed("\n".join([line for line in said if line][-LAST_LINES:]))
    return said
