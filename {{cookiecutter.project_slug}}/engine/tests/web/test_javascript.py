"""Runs the tests of the page's pure modules, which are JavaScript, under Node."""

import shutil
import subprocess
from pathlib import Path

import pytest

TESTS = sorted(str(path) for path in Path(__file__).parent.rglob("*.test.js"))
MINIMUM_NODE = 20


def node() -> str:
    found = shutil.which("node")
    if found is None:
        pytest.skip("needs Node.js")
    version = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)  # noqa: S603
    if int(version.stdout.removeprefix("v").split(".")[0]) < MINIMUM_NODE:
        pytest.skip(f"needs Node.js {MINIMUM_NODE} or newer")
    return found


def test_page_modules() -> None:
    command = [node(), "--test", *TESTS]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert result.returncode == 0, result.stdout + result.stderr
