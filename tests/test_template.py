"""The template's own files, as they stand: valid in their language before they are rendered."""

import ast
import json
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import QUESTIONS, REPO, TEMPLATE, cache_of_types, check, is_copied

# The wiring files: the only Python that may hold a condition.
WIRING = {
    "app/agent/tools/__init__.py",
    "app/attachments/__init__.py",
    "app/auth/__init__.py",
    "app/commands/__init__.py",
    "app/dictation/__init__.py",
}


@pytest.fixture
def unrendered(tmp_path: Path, template: Path) -> Path:
    return Path(shutil.copytree(template / TEMPLATE.name, tmp_path / "unrendered"))


def test_python_parses() -> None:
    for file in TEMPLATE.rglob("*.py"):
        ast.parse(file.read_text(encoding="utf-8"), str(file))


def test_toml_parses() -> None:
    for file in TEMPLATE.rglob("*.toml"):
        tomllib.loads(file.read_text(encoding="utf-8"))


def test_json_and_yaml_parse() -> None:
    for file in TEMPLATE.rglob("*.json"):
        json.loads(file.read_text(encoding="utf-8"))
    for file in (*TEMPLATE.rglob("*.yaml"), *TEMPLATE.rglob("*.yml")):
        yaml.safe_load(file.read_text(encoding="utf-8"))


@pytest.mark.skipif(shutil.which("node") is None, reason="no Node.js to read JavaScript with")
def test_javascript_parses() -> None:
    files = [*TEMPLATE.rglob("*.js"), *TEMPLATE.rglob("*.mjs")]
    assert files
    for file in files:
        node = ["node", "--input-type=module", "--check"]
        done = subprocess.run(node, input=file.read_bytes(), capture_output=True, check=False)
        assert done.returncode == 0, f"{file}\n{done.stderr.decode()}"


def test_python_is_linted(unrendered: Path) -> None:
    check("ruff", "check", ".", cwd=unrendered)


def test_conditions_stand_only_in_the_wiring() -> None:
    holding = {
        str(file.relative_to(TEMPLATE))
        for file in TEMPLATE.rglob("*.py")
        if re.search(r"\{%|%\}|\{#", file.read_text(encoding="utf-8"))
    }

    assert holding == WIRING


def test_what_is_copied_holds_nothing_to_render() -> None:
    """Two thirds of the files are, since Jinja would take longer for them than for all others."""
    copied = [file for file in TEMPLATE.rglob("*") if file.is_file() and is_copied(file)]

    assert len(copied) > 200
    assert [file for file in copied if "cookiecutter" in file.read_text(encoding="utf-8")] == []


def test_no_cache_or_environment_lies_in_the_template() -> None:
    litter = ("__pycache__", ".venv", "node_modules", ".data", "uv.lock", ".env", ".git")

    found = [path for path in TEMPLATE.rglob("*") if path.name in litter or "_cache" in path.name]

    assert found == []


def test_this_repo_keeps_the_same_rules() -> None:
    check("ruff", "check", ".", cwd=REPO)
    check("ruff", "format", "--check", ".", cwd=REPO)
    with cache_of_types() as cache:
        check("mypy", "--cache-dir", str(cache), cwd=REPO)


def test_the_tools_here_include_every_dependency_of_the_template() -> None:
    ours = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))
    theirs = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))
    groups = ours["dependency-groups"]

    extras = theirs["project"]["optional-dependencies"].values()
    wanted = {*theirs["project"]["dependencies"], *theirs["dependency-groups"]["dev"]}
    wanted.update(*extras)

    assert wanted <= {*groups["template"], *groups["dev"]}
    assert set(groups["template"]) <= wanted


def test_the_readme_explains_every_question() -> None:
    readme = (REPO / "README.md").read_text(encoding="utf-8")
    table = set(re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE))

    assert table == {question for question in QUESTIONS if not question.startswith("_")}
