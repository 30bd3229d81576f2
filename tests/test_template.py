"""The template's files are valid in their language before they are rendered."""

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

HAS_JINJA = re.compile(r"\{\{-? *cookiecutter|# \{%")

# The wiring files, which are the only Python files with conditions.
WIRING = {
    "app/agent/tool_list.py",
    "app/attachments.py",
    "app/auth.py",
    "app/commands.py",
    "app/main.py",
    "conftest.py",
    "dev/options.py",
    "engine/settings/providers.py",
    "engine/tests/application.py",
}

PARSE = """
const { readFileSync } = require("node:fs"), { SourceTextModule } = require("node:vm");
for (const file of process.argv.slice(1)) {
  new SourceTextModule(readFileSync(file, "utf-8"), { identifier: file });
}
"""


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
def test_javascript_parses(tmp_path: Path) -> None:
    files = [str(file) for suffix in ("js", "mjs") for file in TEMPLATE.rglob(f"*.{suffix}")]
    assert files
    assert complaints(*files) == ""

    (tmp_path / "wrong.js").write_text("import { a from './a.js';\n")
    assert "wrong.js:1" in complaints(str(tmp_path / "wrong.js"))


def complaints(*files: str) -> str:
    """The syntax errors that Node.js finds in these modules, with one process for all."""
    node = ["node", "--experimental-vm-modules", "--no-warnings", "--eval", PARSE, *files]
    done = subprocess.run(node, capture_output=True, encoding="utf-8", check=False)
    assert bool(done.returncode) == bool(done.stderr)
    return done.stderr


def test_python_is_linted(unrendered: Path) -> None:
    check("ruff", "check", ".", cwd=unrendered)


def test_nothing_is_found_through_the_state_of_the_application() -> None:
    """Each part gets what it needs as an argument."""
    found = [
        str(file.relative_to(TEMPLATE))
        for file in TEMPLATE.rglob("*.py")
        if "tests" not in file.parts
        and re.search(r"\bapp\.state\b(?!\.chat = )", file.read_text(encoding="utf-8"))
    ]

    assert found == []


def test_conditions_are_only_in_wiring_files() -> None:
    holding = {
        str(file.relative_to(TEMPLATE))
        for file in TEMPLATE.rglob("*.py")
        if re.search(r"\{%|%\}|\{#", file.read_text(encoding="utf-8"))
    }

    assert holding == WIRING


def test_copied_files_contain_no_jinja() -> None:
    """Most files are copied without rendering, which is faster."""
    copied = [file for file in TEMPLATE.rglob("*") if file.is_file() and is_copied(file)]

    assert len(copied) > 700
    assert [file for file in copied if HAS_JINJA.search(file.read_text(encoding="utf-8"))] == []


def test_no_folder_is_copied_as_a_whole() -> None:
    """With --overwrite-if-exists, Cookiecutter would delete an owner's files in it."""
    assert [path for path in TEMPLATE.rglob("*") if path.is_dir() and is_copied(path)] == []


def test_the_template_has_no_caches_or_environments() -> None:
    litter = ("__pycache__", ".venv", "node_modules", ".data", "uv.lock", ".env", ".git")

    found = [path for path in TEMPLATE.rglob("*") if path.name in litter or "_cache" in path.name]

    assert found == []


def test_this_repository_has_the_same_rules() -> None:
    check("ruff", "check", ".", cwd=REPO)
    check("ruff", "format", "--check", ".", cwd=REPO)
    with cache_of_types() as cache:
        check("mypy", "--cache-dir", str(cache), cwd=REPO)


def test_the_tools_here_include_every_dependency_of_the_template() -> None:
    ours = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))
    theirs = tomllib.loads((TEMPLATE / "pyproject.toml").read_text(encoding="utf-8"))
    groups = ours["dependency-groups"]

    listed = [
        theirs["project"]["dependencies"],
        *theirs["project"]["optional-dependencies"].values(),
        *theirs["dependency-groups"].values(),
    ]
    wanted = {name.partition(";")[0] for names in listed for name in names}

    assert wanted <= {*groups["template"], *groups["dev"]}
    assert set(groups["template"]) <= wanted


def test_the_command_is_spelled_in_one_way() -> None:
    """`python3 -m app`, which goes on inside the project's environment from any other."""
    places = (REPO / "hooks", REPO / "tests", REPO / "docs", TEMPLATE)
    files = [
        REPO / "README.md",
        REPO / "CHANGELOG.md",
        *(file for place in places for file in place.rglob("*")),
    ]
    found = [
        f"{file.relative_to(REPO)}: {line.strip()}"
        for file in files
        if file.is_file() and file.suffix not in {".png", ".pyc", ".ico"}
        for line in file.read_text(encoding="utf-8").splitlines()
        if re.search(r"(?<![\w/.\\-])(python|uv run|py)( -m | )app\b", line)
    ]

    assert found == []


def test_the_readme_explains_every_question() -> None:
    readme = (REPO / "README.md").read_text(encoding="utf-8")
    table = set(re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE))

    assert table == {question for question in QUESTIONS if not question.startswith("_")}
