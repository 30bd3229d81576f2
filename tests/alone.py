"""What takes all of a machine, and among others' tests has not always got it.

`make matrix` begins with it.
"""

from pathlib import Path

from conftest import generate_with_our_environment
from every_project import THOUSAND, WHOLE_SUITE


def test_a_thousand_answers_are_open_at_once(template: Path, tmp_path: Path) -> None:
    project = generate_with_our_environment(template, tmp_path)

    said = project.run("pytest", "--quiet", THOUSAND, PYTEST_ADDOPTS=WHOLE_SUITE)

    assert said.splitlines()[-1].startswith("1 passed")
