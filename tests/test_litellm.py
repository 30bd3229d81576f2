"""Models through LiteLLM, an extra that only the environment of these tests has."""

import subprocess
import sys

from conftest import Bake, clean_environment


def test_with_the_extra_other_providers_answer(bake: Bake) -> None:
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
            "engine/tests/agent/test_litellm_models.py",
            "engine/tests/agent/test_litellm_answers.py",
        ],
        cwd=bake().path,
        env=clean_environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
