"""Says what this machine lacks, before the first question. Silent when nothing is missing.

None of it is fatal: files are always written, and `python -m app setup` goes on later.
"""

import importlib.util
import shutil
import sys


def main() -> None:
    for line in lacks():
        print(f"Note: {line}")


def lacks() -> list[str]:
    """One line for each thing that is missing: what, and what it means for the new project."""
    lines = []
    if sys.version_info < (3, 11):
        have = ".".join(map(str, sys.version_info[:3]))
        lines.append(
            f"this is Python {have}. The project needs 3.11 or newer: it will be written, but "
            "setting it up has to wait for one."
        )
    if shutil.which("git") is None:
        lines.append("git is not on the PATH. The project will be written without a repository.")
    if shutil.which("uv") is None and importlib.util.find_spec("venv") is None:
        lines.append(
            "neither uv nor Python's venv module is here. The project will be written, but "
            "setting it up has to wait for one of them."
        )
    return lines


if __name__ == "__main__":
    main()
