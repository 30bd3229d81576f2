"""The newest release in CHANGELOG.md: `python tests/changelog.py FILE` prints its version, and writes
what changed to FILE. It prints nothing if there is no release yet.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path

CHANGELOG = Path(__file__).resolve().parent.parent / "CHANGELOG.md"
SECTION = re.compile(r"^## +(.+?) *\n(.*?)(?=^## |\Z)", re.M | re.S)
VERSION = re.compile(r"\[?(\d+\.\d+\.\d+)\b")


@dataclass(frozen=True)
class Release:
    version: str
    changes: str


def newest_release(changelog: str) -> Release | None:
    """The first section whose heading begins with a version, such as `## [1.2.0] - 2026-12-01`."""
    for heading, changes in SECTION.findall(changelog):
        if found := VERSION.match(heading):
            return Release(found[1], changes.strip() + "\n")
    return None


def main() -> None:
    release = newest_release(CHANGELOG.read_text(encoding="utf-8"))
    if release is not None:
        Path(sys.argv[1]).write_text(release.changes, encoding="utf-8")
        print(release.version)


if __name__ == "__main__":
    main()
