"""`make cast`: records a real run of `make demo SERVE=0` as an animated SVG.

Nothing in it is written by hand: the command runs in a pseudo-terminal, and each line appears after the
time that it took, shortened where nothing was printed for long; the last line has the true duration.
Readers who prefer no motion see the end.
"""

import argparse
import io
import os
import pty
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

REPO = Path(__file__).resolve().parent.parent
TARGET = REPO / "docs" / "pictures" / "demo.svg"
COMMAND = "make demo SERVE=0"
WIDTH = 100
# A pause is shown for at most this long.
LONGEST_PAUSE = 1.5

# Rich's pictures load a font from another site.
FONT = re.compile(r"@font-face \{.*?\}\s*", re.S)
LINE = re.compile(r'(<text [^>]*clip-path="url\(#[\w-]+-line-(\d+)\)")')
STYLE = """
<style>
    .appears {{ animation: appear 0.01s step-end both; }}
    @keyframes appear {{ from {{ opacity: 0; }} to {{ opacity: 1; }} }}
    @media (prefers-reduced-motion: reduce) {{ .appears {{ animation: none; }} }}
{delays}
</style>
</svg>"""


@dataclass(frozen=True)
class Line:
    """A line of the terminal, and the second in which it was complete."""

    text: str
    at: float


class Failed(Exception):
    """The recorded command did not succeed; there is nothing to show."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", nargs="?", default=COMMAND)
    parser.add_argument("--output", type=Path, default=TARGET)
    arguments = parser.parse_args()
    arguments.output.write_text(
        as_svg(arguments.command, recorded(arguments.command)), encoding="utf-8"
    )
    print(f"Written to {arguments.output}")


def recorded(command: str) -> list[Line]:
    """Run a command in a pseudo-terminal; its lines with their times."""
    # Make would say that it was started by another make.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL")}
    screen, terminal = pty.openpty()
    began = time.monotonic()
    with subprocess.Popen(
        ["/bin/sh", "-c", command],
        cwd=REPO,
        env=environment | {"COLUMNS": str(WIDTH), "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
    ) as process:
        os.close(terminal)
        lines = [*read_lines(screen, began)]
        os.close(screen)
    if process.returncode != 0:
        raise Failed("\n".join(line.text for line in lines))
    return lines


def read_lines(screen: int, began: float) -> list[Line]:
    lines: list[Line] = []
    rest = b""
    while chunk := _read(screen):
        sys.stdout.buffer.write(chunk)
        sys.stdout.flush()
        *whole, rest = (rest + chunk).split(b"\n")
        now = time.monotonic() - began
        lines += [Line(_shown(line), now) for line in whole]
    return [*lines, *([Line(_shown(rest), time.monotonic() - began)] if rest else [])]


def _read(screen: int) -> bytes:
    try:
        return os.read(screen, 65536)
    except OSError:  # Linux says EIO when the last program has closed the terminal
        return b""


def _shown(line: bytes) -> str:
    """The line as a terminal shows it after carriage returns, without this machine's folders."""
    text = line.decode("utf-8", "replace").rstrip("\r").rsplit("\r", 1)[-1]
    return text.replace(str(REPO), "~/chat-template").replace(str(Path.home()), "~")


def as_svg(command: str, lines: list[Line]) -> str:
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    took = lines[-1].at if lines else 0.0
    written = [Line(f"$ {command}", 0.0), *lines, Line(f"({took:.0f} seconds)", took)]
    starts: list[float] = []
    shown_at, before = 0.5, 0.0
    for line in written:
        shown_at += min(line.at - before, LONGEST_PAUSE)
        before = line.at
        # A long line takes several rows.
        for row in Text.from_ansi(line.text).wrap(console, WIDTH) or [Text()]:
            console.print(row, no_wrap=True, overflow="crop")
            starts.append(shown_at)
    return animated(console.export_svg(title="Terminal", unique_id="demo"), starts)


def animated(svg: str, starts: list[float]) -> str:
    delays = "\n".join(
        f"    .at-{row} {{ animation-delay: {start:.2f}s; }}" for row, start in enumerate(starts)
    )
    marked = LINE.sub(lambda found: _marked(found[1], found[2]), FONT.sub("", svg))
    return marked.rstrip().removesuffix("</svg>") + STYLE.format(delays=delays).lstrip() + "\n"


def _marked(tag: str, row: str) -> str:
    classes = re.sub(r'class="([^"]*)"', rf'class="\1 appears at-{row}"', tag)
    return classes if classes != tag else tag.replace("<text ", f'<text class="appears at-{row}" ')


if __name__ == "__main__":
    main()
