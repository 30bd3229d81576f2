"""Generation inside a repository that exists changes nothing of it, and says what it must have."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from conftest import BakedProject, clean_environment, generate
from test_hooks import OFFLINE

# What a repository around may have: each tool looks for its own file in the folders above.
AROUND = {
    "pyproject.toml": (
        "[project]\nname = 'monorepo'\nversion = '0'\n"
        "[tool.uv.workspace]\nmembers = ['services/*']\n"
        "[tool.ruff]\nline-length = 40\n[tool.pytest.ini_options]\naddopts = '--no-such-option'\n"
        "[tool.mypy]\npython_version = '3.99'\n"
    ),
    "conftest.py": "raise RuntimeError('not this conftest.py')\n",
    "uv.lock": "version = 1\n",
    ".gitignore": "*.lock\nlocales/\ntheme.css\n",
    ".pre-commit-config.yaml": "repos: []\n",
    ".python-version": "3.9\n",
    ".github/workflows/ci.yml": "on: push\n",
}


@pytest.fixture
def around(tmp_path: Path) -> Path:
    """A repository with everything committed."""
    return repository(tmp_path / "monorepo")


def repository(folder: Path) -> Path:
    for name, text in AROUND.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    git(folder, "init", "--quiet")
    git(folder, "add", "--force", ".")
    git(folder, "commit", "--quiet", "--message", "everything")
    return folder


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", *who, *arguments],  # noqa: S607
        cwd=folder,
        env=clean_environment(),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    return done.stdout


def changes(around: Path) -> list[str]:
    return git(around, "status", "--porcelain").splitlines()


def test_only_the_projects_folder_is_new(template: Path, around: Path) -> None:
    project = generate(template, around / "services", CHATKIT_SETUP="skip")

    assert changes(around) == ["?? services/"]
    assert not project.has(".git")


def test_what_the_repository_must_have_is_printed(template: Path, around: Path) -> None:
    output = generate(template, around / "services", CHATKIT_SETUP="skip").output

    assert "In the repository around it, where nothing was changed:" in output
    assert "copy services/my-chat-app/.github/workflows/ci.yml to .github/workflows/" in output
    assert '{"run": {"working-directory": "services/my-chat-app"}}' in output
    assert "exclude: ^services/my\\-chat\\-app/" in output
    command = re.search(r"To commit them: (git .*)", output)
    assert command
    subprocess.run(command[1], shell=True, cwd=around, env=clean_environment(), check=True)  # noqa: S602
    staged = git(around, "diff", "--cached", "--name-only").splitlines()
    assert "services/my-chat-app/app/page/theme.css" in staged
    assert not [name for name in staged if "/.env" in name and "example" not in name]


def test_a_repository_that_ignores_the_folder_is_reported(template: Path, around: Path) -> None:
    (around / ".gitignore").write_text("services\n", encoding="utf-8")

    output = generate(template, around / "services", CHATKIT_SETUP="skip").output

    assert ".gitignore leaves out services/my-chat-app/" in output
    assert "workflows" not in output


def test_alone_nothing_is_printed_about_repositories(template: Path, tmp_path: Path) -> None:
    output = generate(template, tmp_path / "out", CHATKIT_SETUP="skip").output

    assert "repository" not in output


def test_in_a_uv_workspace_setup_prints_the_line_that_excludes_it(
    template: Path, around: Path
) -> None:
    project = generate(template, around / "services", CHATKIT_SETUP="run", **OFFLINE)

    assert changes(around) == ["?? services/"]
    assert not project.has("uv.lock")
    assert 'exclude = ["services/my-chat-app"]' in project.output
    assert "To go on: cd " in project.output


def exclude(around: Path, project: BakedProject) -> None:
    """Add the printed line, as somebody does it by hand."""
    line = re.search(r"exclude = \[.*\]", project.output)
    assert line
    file = around / "pyproject.toml"
    text = file.read_text(encoding="utf-8").replace("members =", f"{line[0]}\nmembers =")
    assert tomllib.loads(text)
    file.write_text(text, encoding="utf-8")
