"""Models through LiteLLM, in a project with such a model."""

import subprocess
import sys

import pytest
from conftest import Bake, clean_environment
from every_project import PROVED_BY_ITSELF
from matrix import MODELS

LITELLM = MODELS[1]


@pytest.mark.long
def test_other_providers_answer(bake: Bake) -> None:
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
            PROVED_BY_ITSELF,
        ],
        cwd=bake(model=LITELLM).path,
        env=clean_environment(),
        capture_output=True,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
