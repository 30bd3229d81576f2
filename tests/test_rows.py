"""The rows of the matrix: each project is generated, set up and tested.

CI runs the first rows, in which every single answer occurs; `make matrix` runs all of them.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import BakedProject, generate
from every_project import EveryProject, is_matrix, suite_of_row
from matrix import as_answers, first_rows, rows

pytestmark = pytest.mark.long

# Tested in test_projects.py.
ELSEWHERE = {"default", "minimal", "everything"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = rows() if is_matrix(metafunc.config) else first_rows()
    names = [name for name in chosen if name not in ELSEWHERE]
    metafunc.parametrize("row", names, indirect=True, ids=names, scope="session")


@pytest.fixture(scope="session")
def row(
    request: pytest.FixtureRequest, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BakedProject]:
    answers = [
        f"{question}={value}" for question, value in as_answers(rows()[request.param]).items()
    ]
    folder = tmp_path_factory.mktemp(request.param)
    project = generate(template, folder, *answers, CHATKIT_SETUP="strict")

    yield replace(project, environment=suite_of_row(request.config, request.param))

    project.run("python", "-m", "app", "db", "stop")


class TestRow(EveryProject):
    @pytest.fixture
    def project(self, row: BakedProject) -> BakedProject:
        return row
