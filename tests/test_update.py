"""A project is updated: plain Cookiecutter leaves what it takes, and `update` does it or takes it back."""

import json
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import (
    QUESTIONS,
    REPO,
    TEMPLATE,
    BakedProject,
    clean_environment,
    generate,
    generate_with_our_environment,
    lack,
    tool,
)
from older import COMMITS, OlderTemplate, refuse_without_history, updated
from test_cruft import answer, changed, commit, cruft, git, repository
from test_owner_changes import SECRET_KEY

__all__ = ["repository"]

ADD_NOTE = """
import asyncio, asyncpg, os, sys
from dev.paths import POSTGRES_DIR
from dev.postgres import Postgres
from engine.settings.database_url import connect_options

async def run(url):
    connection = await asyncpg.connect(**connect_options(url))
    for statement in sys.argv[1:]:
        print(*[row[0] for row in await connection.fetch(statement)], sep="\\n")
    await connection.close()

postgres = Postgres(POSTGRES_DIR)
asyncio.run(run(postgres.start()))
"""
CRUFT = "cruft>=2.15"  # as in engine/operate/commands/update.py
NOTES = "SELECT text FROM chatkit_notes"
BROKEN = '''"""A migration that fails."""

from alembic import op

revision: str = "core_{number:04}"
down_revision: str | None = "{last}"
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    op.execute("SELECT 1 / 0")


def downgrade() -> None: ...
'''


def test_the_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((REPO / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changelog = (REPO / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d$", changelog, flags=re.M)

    assert project["version"] == QUESTIONS["_version"] == versions[0]
    assert set(versions[1:]) <= set(COMMITS)
    for section in re.split(r"^## \[\d", changelog, flags=re.M)[1:]:
        assert "### What you have to do\n" in section


def test_plain_cookiecutter_leaves_what_cruft_needs(repository: Path, tmp_path: Path) -> None:
    project = generate(
        repository, tmp_path / "out", "author_name=O'Hara", CHATKIT_SETUP="skip"
    ).path
    kept = json.loads((project / ".cruft.json").read_text(encoding="utf-8"))

    assert kept["template"] == str(repository)
    assert kept["commit"] == git(repository, "rev-parse", "HEAD").strip()
    assert kept["context"]["cookiecutter"]["author_name"] == "O'Hara"
    commit(project, "made")
    assert "up to date" in cruft(project, "check")
    assert cruft(project, "diff") == ""


def test_a_template_that_is_no_repository_leaves_nothing(template: Path, tmp_path: Path) -> None:
    project = generate(template, tmp_path / "out", CHATKIT_SETUP="skip")

    assert not project.has(".cruft.json")


class Owner:
    """A project whose files are committed."""

    def __init__(self, project: BakedProject, bin: Path) -> None:
        self.project, self.path = project, project.path
        # `uv` would change the environment, which these tests share.
        bin.mkdir()
        fake = bin / "uv"
        fake.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
        fake.chmod(0o755)
        (bin / "cruft").symlink_to(tool("cruft"))
        self._environment = {"UV": str(fake), "PATH": f"{bin}:{os.environ['PATH']}"}
        (self.path / ".git/info/exclude").write_text(".venv\n", encoding="utf-8")
        (self.path / ".env").write_text(f"SECRET_KEY={SECRET_KEY}\n", encoding="utf-8")
        commit(self.path, "made")

    def app(self, *words: str, check: bool = True) -> str:
        return self.project.run("python", "-m", "app", *words, check=check, **self._environment)

    def sql(self, *statements: str) -> list[str]:
        return self.project.run("python", "-c", ADD_NOTE, *statements).splitlines()

    def files(self) -> dict[str, str]:
        return self.project.files() | {".env": self.project.text(".env")}


@pytest.fixture
def new_owner(repository: Path, tmp_path: Path) -> Owner:
    """Before the first migration."""
    return Owner(generate_with_our_environment(repository, tmp_path / "out"), tmp_path / "bin")


@pytest.fixture
def owner(new_owner: Owner) -> Iterator[Owner]:
    new_owner.app("migrate")
    new_owner.sql(
        "INSERT INTO chatkit_users (id) VALUES ('ada')",
        "INSERT INTO chatkit_notes (user_id, text) VALUES ('ada', 'stays')",
    )
    yield new_owner
    new_owner.app("db", "stop")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("agent_tools=notez", "agent_tools: 'notez' cannot be used. Allowed: notes, web_search"),
        ("agent_tool=notes", "The template has no question agent_tool. It has: project_name,"),
    ],
)
def test_an_answer_that_cannot_be_used_is_refused_in_a_few_lines(
    new_owner: Owner, answer: str, said: str
) -> None:
    before = new_owner.files()

    output = new_owner.app("update", "--set", answer, "--yes", check=False)

    assert said in output
    assert len(output.splitlines()) <= 5
    assert new_owner.files() == before
    assert changed(new_owner.path) == set()


def test_a_template_that_is_not_there_is_named(new_owner: Owner, repository: Path) -> None:
    repository.rename(repository.with_name("moved"))

    output = new_owner.app("update", "--yes", check=False)

    assert str(repository) in output
    assert "Traceback" not in output
    assert output.endswith("Nothing has been changed.\n")


@pytest.mark.slow
def test_an_option_is_added_with_its_tables(owner: Owner) -> None:
    """The owner's own changes, secrets and rows stay."""
    instructions = owner.path / "app/agent/instructions.md"
    instructions.write_text("Sell cars.\n", encoding="utf-8")
    commit(owner.path, "instructions")
    secrets = owner.project.text(".env")

    said = owner.app("update", "--yes", "--set", "agent_tools=notes,knowledge")

    assert "+++ b/app/agent/tool_list.py" in said
    assert "Done." in said
    assert owner.project.text(".env") == secrets
    assert instructions.read_text(encoding="utf-8") == "Sell cars.\n"
    assert owner.sql(NOTES, "SELECT count(*) FROM chatkit_passages") == ["stays", "0"]
    commit(owner.path, "with knowledge")

    said = owner.app("update", "--yes", "--set", "agent_tools=notes")

    assert "left alone: knowledge_0001." in said
    assert owner.sql(NOTES, "SELECT count(*) FROM chatkit_passages") == ["stays", "0"]


PREFIXES = (
    "SELECT DISTINCT split_part(tablename, '_', 1) FROM pg_tables WHERE schemaname = 'public'"
    " ORDER BY 1"
)


@pytest.mark.long
def test_another_prefix_takes_the_data_along(owner: Owner) -> None:
    said = owner.app("update", "--yes", "--set", "table_prefix=shop_")

    assert "\nDone." in said
    assert owner.sql(PREFIXES) == ["shop"]
    assert owner.sql("SELECT text FROM shop_notes") == ["stays"]


@pytest.mark.long
def test_without_being_renamed_tables_of_the_old_prefix_stay(owner: Owner) -> None:
    """As docs/update.md says of a database to which a release with another prefix comes first."""
    answer(owner.path, table_prefix="shop_")

    owner.app("migrate")

    assert owner.sql(PREFIXES) == ["chatkit", "shop"]
    assert owner.sql(NOTES, "SELECT count(*) FROM shop_notes") == ["stays", "0"]
    refused = owner.app("migrate", "--rename-from", "chatkit_", check=False)
    assert "There are tables with the prefix shop_ beside those with chatkit_." in refused


@pytest.mark.long
def test_an_update_that_fails_is_taken_back(owner: Owner, repository: Path) -> None:
    folder = repository / TEMPLATE.name / "engine/migrations/core"
    last = max(folder.glob("0*.py")).name[:4]
    file = folder / f"{int(last) + 1:04}_broken.py"
    file.write_text(BROKEN.format(number=int(last) + 1, last=f"core_{last}"), encoding="utf-8")
    commit(repository, "broken")
    before = owner.files()

    said = owner.app("update", "--yes", "--set", "agent_tools=notes,knowledge", check=False)

    assert "migrations: " in said
    assert "division by zero" in said
    assert "The files are as they were before." in said
    assert f"The database is where it was: at anonymous_0001, core_{last}, notes_0001." in said
    assert owner.files() == before
    assert changed(owner.path) == set()
    assert owner.sql("SELECT to_regclass('chatkit_passages')") == ["None"]
    owner.app("migrate")


@pytest.mark.long
def test_lines_that_both_have_changed_are_named(owner: Owner, repository: Path) -> None:
    name = "app/agent/instructions.md"
    (repository / TEMPLATE.name / name).write_text("Theirs.\n", encoding="utf-8")
    commit(repository, "other instructions")
    (owner.path / name).write_text("Mine.\n", encoding="utf-8")
    refused = owner.app("update", "--yes", check=False)
    assert "Commit or stash your changes first" in refused
    commit(owner.path, "mine")

    said = owner.app("update", "--yes", check=False)

    assert f"changed the same lines of {name}" in said
    assert "python3 -m app setup" in said
    assert owner.project.text(name) == "Mine.\n"
    assert changed(owner.path) == set()


@pytest.mark.long
def test_a_project_of_version_0_1_is_updated(tmp_path: Path) -> None:
    """`journey_versions.py` has other answers, and an owner's changes."""
    refuse_without_history()
    template = OlderTemplate(tmp_path / "template", COMMITS["0.1.0"])
    project = template.generate(tmp_path / "out", {})

    with updated(template, project):
        assert "12 checks" in project.run("python", "-m", "app", "smoke")
        assert " passed" in project.run("pytest", "--quiet").splitlines()[-1]


@pytest.mark.long
def test_the_real_uv_updates(repository: Path, tmp_path: Path) -> None:
    """It gets Cruft from the registry, and writes lock and environment."""
    found = subprocess.run(
        [tool("uv"), "tool", "run", "--from", CRUFT, "cruft", "--help"],
        env=clean_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )
    if found.returncode != 0:
        lack(f"uv cannot get Cruft from the registry: {found.stdout}")
    path = os.pathsep.join(
        folder
        for folder in os.environ["PATH"].split(os.pathsep)
        if not Path(folder, "cruft").exists()
    )
    project = generate(repository, tmp_path / "out", CHATKIT_SETUP="strict", PATH=path)
    commit(project.path, "made")
    try:
        words = ("--yes", "--set", "agent_tools=notes,knowledge")
        said = project.run("python", "-m", "app", "update", *words, PATH=path)

        assert "\nDone." in said
        assert 'name = "pypdf"' in project.text("uv.lock")
        project.run("python", "-c", "import pypdf")
    finally:
        project.run("python", "-m", "app", "db", "stop")
