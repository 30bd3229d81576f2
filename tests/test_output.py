"""Generated projects are completely rendered, formatted and linted."""

import re

import pytest
from conftest import Bake, check
from matrix import as_answers, rows


@pytest.mark.parametrize("row", rows())
def test_python_is_linted_and_formatted(look: Bake, row: str) -> None:
    project = look(**as_answers(rows()[row]))

    check("ruff", "check", ".", cwd=project.path)
    check("ruff", "format", "--check", ".", cwd=project.path)


@pytest.mark.parametrize("row", rows())
def test_nothing_is_left_to_render(look: Bake, row: str) -> None:
    left = [
        f"{file}:{number}: {line.strip()}"
        for file, text in look(**as_answers(rows()[row])).files().items()
        if not is_page_template(file)
        for number, line in enumerate([file, *text.splitlines()])
        if re.search(r"\{%|%\}|cookiecutter\.\w", line, re.IGNORECASE)
        or ("{{" in line and not is_other_syntax(file, line))
    ]

    assert left == []


def is_page_template(file: str) -> bool:
    """True for templates that the application renders for each request."""
    return file.startswith("engine/auth/password/templates/")


def is_other_syntax(file: str, line: str) -> bool:
    """True for double braces of GitHub workflows and of Python's f-strings."""
    return "${{" in line if file.startswith(".github/") else bool(re.search(r"\bf\"", line))


def test_files_end_with_a_newline_and_lines_without_spaces(look: Bake) -> None:
    for file, text in look(agent_tools="all").files().items():
        assert text == "" or text.endswith("\n"), file
        assert not re.search(r"[ \t]+$", text, re.MULTILINE), file


def test_workflows_are_copied_as_they_are(look: Bake) -> None:
    workflows = [file for file in look().files() if file.startswith(".github/workflows/")]

    assert workflows


def test_two_bakes_with_the_same_answers_are_the_same(bake: Bake, look: Bake) -> None:
    assert bake().files() == look().files()


def test_the_same_answers_in_another_order_are_the_same(look: Bake) -> None:
    assert (
        look(agent_tools="web_search,notes").files() == look(agent_tools="notes,web_search").files()
    )
