"""`make newest`: raises every pin to the newest version, and prints what was raised.

The upper bounds in both `pyproject.toml` are removed first, so that a new minor version of the SDKs is
tried as well. Pins keep their order and their comments. Raised too: the versions that engine/README.md
names, and the element's official types.
"""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

REPO = Path(__file__).resolve().parent.parent
TEMPLATE = REPO / "{{cookiecutter.project_slug}}"
PINS = (TEMPLATE / "constraints.txt", REPO / "constraints.txt")
PROJECTS = (TEMPLATE / "pyproject.toml", REPO / "pyproject.toml")
TYPES = REPO / "tests" / "page_types" / "package.json"
TYPES_PACKAGE = "@openai/chatkit"

# "openai-agents>=0.24,<0.25"
UPPER_BOUND = re.compile(r'(?<=")([\w.\[\]-]+>=[\d.]+),<[\d.]+(?=")')
# "Tested with `openai` 3.57.0"
TESTED = TEMPLATE / "engine" / "README.md"
TESTED_WITH = re.compile(r"`(openai[\w-]*)` (\d[\d.]*\d)")
PIN = re.compile(r"^([\w.\[\]-]+)==([^\s;#]+)", re.M)


def main() -> None:
    for file in PROJECTS:
        file.write_text(without_upper_bounds(file.read_text(encoding="utf-8")), encoding="utf-8")
    newest = resolved()
    for file in PINS:
        text, raised = with_versions(file.read_text(encoding="utf-8"), newest)
        file.write_text(text, encoding="utf-8")
        for line in raised:
            print(line)
    TESTED.write_text(as_tested(TESTED.read_text(encoding="utf-8"), newest), encoding="utf-8")
    if npm := shutil.which("npm"):
        raise_types(npm)


def without_upper_bounds(pyproject: str) -> str:
    return UPPER_BOUND.sub(r"\1", pyproject)


def with_versions(constraints: str, newest: dict[str, str]) -> tuple[str, list[str]]:
    """The pins with other versions, and a line for each that changed."""
    raised = []

    def pin(found: re.Match[str]) -> str:
        name, before = found.groups()
        after = newest.get(normal(name), before)
        if after != before:
            raised.append(f"{name} {before} → {after}")
        return f"{name}=={after}"

    return PIN.sub(pin, constraints), raised


def as_tested(readme: str, newest: dict[str, str]) -> str:
    return TESTED_WITH.sub(lambda found: f"`{found[1]}` {newest[found[1]]}", readme)


def resolved() -> dict[str, str]:
    """The newest versions that go together on the oldest Python that projects support."""
    uv = os.environ.get("UV") or shutil.which("uv") or "uv"
    groups = ("--group", "dev", "--group", "template")
    options = ("--quiet", "--no-header", "--no-annotate", "--python-version", "3.11")
    said = subprocess.run(
        [uv, "pip", "compile", *options, *groups],
        cwd=REPO,
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ).stdout
    return {normal(name): version for name, version in PIN.findall(said)}


def raise_types(npm: str) -> None:
    command = [npm, "view", TYPES_PACKAGE, "version"]
    version = subprocess.run(command, check=True, stdout=subprocess.PIPE, encoding="utf-8").stdout
    package = TYPES.read_text(encoding="utf-8")
    before = json.loads(package)["dependencies"][TYPES_PACKAGE]
    if before != version.strip():
        after = package.replace(
            f'"{TYPES_PACKAGE}": "{before}"', f'"{TYPES_PACKAGE}": "{version.strip()}"'
        )
        TYPES.write_text(after, encoding="utf-8")
        print(f"{TYPES_PACKAGE} {before} → {version.strip()}")


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name.partition("[")[0]).lower()


if __name__ == "__main__":
    main()
