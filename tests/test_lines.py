"""The code that an owner has to read stays small."""

import pytest
from conftest import REPO, Bake
from matrix import as_answers, rows

# The most lines of Python in these folders, without tests.
MOST = {
    "default": {"app": 300, "dev": 1_700},
    "everything": {"app": 3_200, "dev": 1_700},
}


@pytest.mark.parametrize("row", MOST)
def test_the_owners_code_reads_in_an_afternoon(look: Bake, row: str) -> None:
    project = look(**as_answers(rows()[row]))

    lines = {
        folder: sum(
            len(file.read_text(encoding="utf-8").splitlines())
            for file in (project.path / folder).rglob("*.py")
            if "tests" not in file.relative_to(project.path).parts
        )
        for folder in MOST[row]
    }

    assert {folder: n for folder, n in lines.items() if n > MOST[row][folder]} == {}
    assert all(lines.values())


def test_the_readme_says_how_many_lines_an_owner_changes() -> None:
    readme = (REPO / "README.md").read_text(encoding="utf-8")

    assert f"under {MOST['default']['app']} lines of Python by default" in readme


def test_the_readme_of_a_project_is_two_screens(look: Bake) -> None:
    """One to run it, one to find the rest."""
    assert len(look().text("README.md").splitlines()) <= 110
