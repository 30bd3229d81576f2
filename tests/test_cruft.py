"""A template update with real cruft changes only files."""

import json
import subprocess
from pathlib import Path

import pytest
from conftest import BakedProject, clean_environment, copy_template, output_of, tool

ANSWERS = {"author_name": "O'Hara", "agent_tools": "notes", "setup": "run"}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """The template as a Git repository with one commit."""
    folder = tmp_path / "template"
    copy_template(folder)
    git(folder, "init", "--quiet", "--initial-branch", "main")
    commit(folder, "first")
    return folder


@pytest.fixture
def project(repository: Path, tmp_path: Path) -> Path:
    """A project made by `cruft create` and committed."""
    cruft(tmp_path, "create", str(repository), "--no-input", "--extra-context", json.dumps(ANSWERS))
    folder = tmp_path / "my-chat-app"
    commit(folder, "made")
    return folder


def test_update_adds_and_changes_files(repository: Path, project: Path) -> None:
    inner = repository / "{{cookiecutter.project_slug}}"
    (inner / "NEWS.md").write_text("News for {{ cookiecutter.author_name }}\n", encoding="utf-8")
    readme = inner / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8") + "\nMore.\n", encoding="utf-8")
    commit(repository, "second")
    (project / ".env").write_text("SECRET_KEY=mine\n", encoding="utf-8")

    said = cruft(project, "update", "--skip-apply-ask")

    assert (project / "NEWS.md").read_text(encoding="utf-8") == "News for O'Hara\n"
    assert changed(project) == {".cruft.json", "NEWS.md", "README.md"}
    assert (project / ".env").read_text(encoding="utf-8") == "SECRET_KEY=mine\n"
    assert not (project / ".data").exists()
    assert not (project / ".venv").exists()
    assert "[1/" not in said


@pytest.mark.parametrize(
    ("changes", "file", "wiring", "line"),
    [
        (
            {"agent_tools": "all"},
            "app/agent/tools/web_search.py",
            "app/agent/tool_list.py",
            "WEB_SEARCH",
        ),
        (
            {"model": "litellm/anthropic/claude-sonnet-5"},
            "engine/models/litellm/models.py",
            "engine/settings/providers.py",
            '"litellm": "engine.models.litellm.models"',
        ),
    ],
    ids=["tool", "model"],
)
def test_update_adds_an_option_that_is_chosen_later(
    project: Path, changes: dict[str, str], file: str, wiring: str, line: str
) -> None:
    assert not (project / file).exists()

    cruft(project, "update", "--skip-apply-ask", "--variables-to-update", json.dumps(changes))

    assert (project / file).exists()
    assert line in (project / wiring).read_text(encoding="utf-8")


OWN = {
    "app/agent/tool_list.py": {
        "# Import your own tools here, where no update changes a line.\n": (
            "from app.agent.tools.dice import DICE\n"
        ),
        "    # Your own tools.\n": "    DICE,\n",
    },
    "app/commands.py": {"    # Your own commands.\n": '    "app.roll",\n'},
}


@pytest.mark.long
def test_an_owners_tool_and_command_stay_while_options_come_and_go(project: Path) -> None:
    """They stand on lines that no option shares, so Git has no conflict to report."""
    for name, places in OWN.items():
        text = (project / name).read_text(encoding="utf-8")
        for place, line in places.items():
            assert text.count(place) == 1
            text = text.replace(place, place + line)
        (project / name).write_text(text, encoding="utf-8")
    commit(project, "my own")
    mine = files(project)

    answer(project, agent_tools="all", attachments="local", auth_style="password")
    for name, places in OWN.items():
        text = (project / name).read_text(encoding="utf-8")
        assert "<<<<" not in text
        assert all(place + line in text for place, line in places.items())
    commit(project, "everything")
    answer(project, agent_tools="notes", attachments="none", auth_style="anonymous")

    assert files(project) == mine


def test_check_is_clean_after_create(project: Path) -> None:
    assert "up to date" in cruft(project, "check")
    assert cruft(project, "diff") == ""


def cruft(folder: Path, *arguments: str) -> str:
    """Run cruft with a temporary folder outside of the project, as on a user's machine.

    Only `create` gets CHATKIT_SETUP, because other commands must not set the project up by themselves.
    """
    temporary = folder.parent / "temporary"
    temporary.mkdir(exist_ok=True)
    environment = clean_environment() | {
        "CHATKIT_SETUP": "skip" if "create" in arguments else "run",
        "TMPDIR": str(temporary),
    }
    return output_of(tool("cruft"), *arguments, cwd=folder, env=environment)


def answer(project: Path, **answers: str) -> None:
    cruft(project, "update", "--skip-apply-ask", "--variables-to-update", json.dumps(answers))


def files(project: Path) -> dict[str, str]:
    return {n: t for n, t in BakedProject(project).files().items() if n != ".cruft.json"}


def changed(project: Path) -> set[str]:
    status = git(project, "status", "--porcelain", "--untracked-files=all")
    return {line[3:] for line in status.splitlines()}


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def git(folder: Path, *arguments: str) -> str:
    who = [
        "-c",
        "user.name=Test",
        "-c",
        "user.email=test@example.com",
        "-c",
        "commit.gpgsign=false",
    ]
    done = subprocess.run(
        ["git", *who, *arguments],  # noqa: S607
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return done.stdout
