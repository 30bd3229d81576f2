"""A test that needs the whole machine, so it does not run in parallel with others.

`make matrix` runs it first.
"""

from pathlib import Path

from conftest import generate_with_our_environment
from every_project import THOUSAND, WHOLE_SUITE


def test_a_thousand_parallel_answers(template: Path, tmp_path: Path) -> None:
    project = generate_with_our_environment(template, tmp_path)

    said = project.run("pytest", "--quiet", THOUSAND, PYTEST_ADDOPTS=WHOLE_SUITE)

    assert said.splitlines()[-1].startswith("1 passed")
