"""Projects of older versions of the template, which this repository's history has."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from conftest import REPO, TEMPLATE, BakedProject, copy_template, tool
from living import Content, content, fill_empty_tables, lost
from test_cruft import commit, cruft, git
from test_owner_changes import SECRET_KEY

# The last commit of each version of CHANGELOG.md but the newest, and one between them.
COMMITS = {
    # One line of migrations, and no `engine/`.
    "0.1.0": "ab72abbd1aa82cda4a5d362e7d3914095c9c6033",
    # The last one before each option had a branch of migrations.
    "one line of migrations": "5410ae45de3f91dc5a905107629997e308d42c83",
}
ENTRIES = ("cookiecutter.json", "hooks", TEMPLATE.name)


def refuse_without_history() -> None:
    """Skip the test in a shallow clone. In a complete one, each commit has to be there."""
    if (
        not (REPO / ".git").exists()
        or _history("rev-parse", "--is-shallow-repository") == b"true\n"
    ):
        pytest.skip("the history is not here; in a shallow clone: git fetch --unshallow")
    for name in COMMITS.values():
        _history("cat-file", "-e", name)


def _history(*words: str) -> bytes:
    """Git's output on this repository, which somebody else may own in a container."""
    command = ["git", "-c", "safe.directory=*", *words]
    return subprocess.run(command, cwd=REPO, capture_output=True, check=True).stdout


def lose_nothing(before: Content, project: BakedProject) -> None:
    gone = lost(before, content(project))
    assert not gone, gone


@contextmanager
def updated(
    template: "OlderTemplate", project: BakedProject, *, is_adopting: bool = False
) -> Iterator[None]:
    """The project with rows in every table, updated as the changelog says; none of them is lost."""
    (project.path / ".env").write_text(f"SECRET_KEY={SECRET_KEY}\n", encoding="utf-8")
    commit(project.path, "made")
    project.run("python", "-m", "app", "migrate")
    try:
        fill_empty_tables(project)
        before, secrets = content(project), project.text(".env")
        template.become_newest()
        cruft(project.path, "update", "--skip-apply-ask")
        assert not [*project.path.rglob("*.rej")]
        if is_adopting:
            assert "Changed:" in project.run("python", "-m", "app", "migration", "--adopt")

        assert "at the newest migration" in project.run("python", "-m", "app", "migrate")
        lose_nothing(before, project)
        assert project.text(".env") == secrets
        yield
        lose_nothing(before, project)
    finally:
        project.run("python", "-m", "app", "db", "stop")


class OlderTemplate:
    """A repository with the template of an older version, which then becomes today's."""

    def __init__(self, folder: Path, commit_name: str) -> None:
        self.folder = folder
        folder.mkdir()
        packed = _history("archive", commit_name, *ENTRIES, "presets")
        subprocess.run(["tar", "x", "-C", str(folder)], input=packed, check=True)  # noqa: S607
        git(folder, "init", "--quiet", "--initial-branch", "main")
        commit(folder, "older")

    def preset(self, name: str) -> dict[str, str]:
        text = (self.folder / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
        answers: dict[str, str] = yaml.safe_load(text)["default_context"]
        return answers

    def generate(self, folder: Path, answers: dict[str, str]) -> BakedProject:
        """With the environment of these tests."""
        folder.mkdir()
        words = ("--no-input", "--extra-context", json.dumps(answers))
        cruft(folder, "create", str(self.folder), *words)
        [path] = [entry for entry in folder.iterdir() if (entry / ".cruft.json").exists()]
        (path / ".venv").symlink_to(Path(tool("python")).parents[1])
        (path / ".git/info/exclude").write_text(".venv\n", encoding="utf-8")
        return BakedProject(path)

    def become_newest(self) -> None:
        git(self.folder, "rm", "-r", "--quiet", *ENTRIES)
        newest = self.folder.with_name(f"{self.folder.name}-now")
        copy_template(newest)
        shutil.copytree(newest, self.folder, dirs_exist_ok=True)
        commit(self.folder, "now")
