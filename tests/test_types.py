"""Types hold in the template as it stands, and in what comes out of it. One module, one cache."""

import shutil
from pathlib import Path

import pytest
from conftest import REPO, TEMPLATE, Bake, check

CACHE = str(REPO / ".mypy_cache" / "template")


def test_the_template_is_typed(template: Path, tmp_path: Path) -> None:
    unrendered = shutil.copytree(template / TEMPLATE.name, tmp_path / "unrendered")

    check("mypy", "--cache-dir", CACHE, cwd=unrendered)


@pytest.mark.parametrize(
    "answers",
    [
        # Every style, and every tool with and without each other one.
        {"auth_style": "anonymous", "agent_tools": "notes"},
        {"auth_style": "anonymous", "agent_tools": "web_search"},
        {"auth_style": "anonymous", "agent_tools": "chart"},
        {"auth_style": "jwt", "agent_tools": "all"},
        {"auth_style": "jwt", "agent_tools": "none"},
    ],
    ids=lambda answers: "-".join(answers.values()),
)
def test_a_project_is_typed(bake: Bake, answers: dict[str, str]) -> None:
    check("mypy", "--cache-dir", CACHE, cwd=bake(**answers).path)
