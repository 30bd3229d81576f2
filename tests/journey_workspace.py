"""A project inside a uv workspace, in a repository with tools of its own. `make matrix` runs it."""

import os
import re
import venv
from pathlib import Path

from conftest import generate, output_of
from test_moving_in import changes, exclude, git, repository


def test_a_project_inside_a_uv_workspace(template: Path, tmp_path: Path) -> None:
    around = repository(tmp_path / "monorepo")
    other = around / ".venv"
    venv.create(other)
    activated = {
        "VIRTUAL_ENV": str(other),
        "PATH": f"{other / 'bin'}{os.pathsep}{os.environ['PATH']}",
    }

    project = generate(template, around / "services", CHATKIT_SETUP="run", **activated)
    assert "environment … " not in project.output
    exclude(around, project)
    git(around, "add", "pyproject.toml")
    git(around, "commit", "--quiet", "--message", "excluded")

    # With the Python of the environment that is active, here the workspace's.
    def run(*arguments: str) -> str:
        python = str(other / "bin" / "python3")
        return output_of(
            python, "-m", "app", *arguments, cwd=project.path, env={**os.environ, **activated}
        )

    said = run("setup")
    assert "\nDone.\n" in said
    assert "It lets in EVERYBODY who can open the page" in said
    run("db", "start")
    try:
        assert re.search(r"^ok +migrations", run("doctor", "--port", "1"), re.M)
        project.run("ruff", "check", ".")
        project.run("ruff", "format", "--check", ".")
        project.run("lint-imports", "--no-cache")
        project.run("mypy")
        assert " passed" in project.run("pytest", "--quiet").splitlines()[-1]
        assert project.has("uv.lock")
        assert [
            line for line in changes(around) if "services/" not in line and ".venv" not in line
        ] == []
        assert not (other / "lib").is_dir() or not [*other.rglob("fastapi")]
    finally:
        run("db", "stop")
