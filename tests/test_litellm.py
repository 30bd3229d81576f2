"""Models through LiteLLM, an extra: these tests' environment has it, a project's own has not."""

import subprocess
import sys

import pytest
from conftest import Bake, clean_environment


@pytest.mark.parametrize("subject", ["models", "answers"])
def test_with_the_extra_other_providers_answer(subject: str, bake: Bake) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:schemathesis",
            f"tests/agent/test_litellm_{subject}.py",  # each in a process with clients of its own
        ],
        cwd=bake().path,
        env=clean_environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
