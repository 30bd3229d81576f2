"""Whole projects, set up for real: their own suites, their migrations, their smoke tests.

Each is made the hard way, so that what may go wrong on a user's machine has gone wrong here.
"""

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import PRESETS, BakedProject, generate
from test_hooks import without_uv

NOBODY = "postgresql+asyncpg://nobody@127.0.0.1:9/nothing"
PROJECTS = [
    pytest.param(name, marks=pytest.mark.xdist_group(name))
    for name in ("default", "minimal", "everything")
]

SQL = """
import json, subprocess, sys
from app.dev.paths import POSTGRES_DIR
from app.dev.postgres import Postgres
command = [*Postgres(POSTGRES_DIR).psql_command(), "-X", "-A", "-t", "-c", sys.argv[1]]
done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True)
print(json.dumps(done.stdout.split()))
"""
START = """
from app.dev.paths import POSTGRES_DIR
from app.dev.postgres import Postgres
print(Postgres(POSTGRES_DIR).start())
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def default(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BakedProject]:
    """Its first setup met a database that nobody answers, and the command it named went on."""
    project = generate(
        template, tmp_path_factory.mktemp("default"), CHATKIT_SETUP="run", DATABASE_URL=NOBODY
    )
    assert "database … failed" in project.output
    assert "No database answers at postgresql+asyncpg://nobody@127.0.0.1:9" in project.output
    assert "python -m app setup" in project.output

    yield BakedProject(project.path, project.run("python", "-m", "app", "setup"))

    project.run("python", "-m", "app", "db", "stop")


@pytest.fixture(scope="session")
def minimal(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BakedProject]:
    """In a path with spaces and letters beyond ASCII, on a machine without uv."""
    folder = tmp_path_factory.mktemp("minimal")
    environment = without_uv(folder / "bin")
    project = generate(
        template,
        folder / "Größe und Maß",
        "--config-file",
        str(PRESETS["minimal"]),
        CHATKIT_SETUP="strict",
        **environment,
    )

    yield BakedProject(project.path, project.output, environment)

    project.run("python", "-m", "app", "db", "stop")


@pytest.fixture(scope="session")
def everything(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BakedProject]:
    """While another program has the port."""
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", 8000))
        other.listen()
        project = generate(
            template,
            tmp_path_factory.mktemp("everything"),
            "--config-file",
            str(PRESETS["everything"]),
            CHATKIT_SETUP="strict",
        )
        refused = project.run("python", "-m", "app", "dev", check=False)
        assert "Port 8000 is taken" in refused

    yield project

    project.run("python", "-m", "app", "db", "stop")


@pytest.fixture
def project(request: pytest.FixtureRequest) -> BakedProject:
    found: BakedProject = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize("project", PROJECTS, indirect=True)
def test_setup_proves_the_project(project: BakedProject) -> None:
    assert "smoke test … ok" in project.output
    assert "Done." in project.output
    assert project.run("python", "-m", "app", "smoke")


@pytest.mark.parametrize("project", PROJECTS, indirect=True)
def test_setup_again_finds_its_work_done(project: BakedProject) -> None:
    secrets, lock = project.text(".env"), project.text("uv.lock")

    said = project.run("python", "-m", "app", "setup")

    assert "smoke test … ok" in said
    assert (project.text(".env"), project.text("uv.lock")) == (secrets, lock)


@pytest.mark.parametrize("project", PROJECTS, indirect=True)
def test_what_must_not_be_committed_is_ignored(project: BakedProject) -> None:
    untracked = project.run("python", "-c", GIT_STATUS).splitlines()

    assert "?? uv.lock" in untracked
    assert not [line for line in untracked if line.startswith(("?? .env/", "?? .venv", "?? .data"))]
    assert "?? .env" not in untracked


GIT_STATUS = """
import subprocess
subprocess.run(["git", "status", "--porcelain"], check=True)
"""


@pytest.mark.parametrize("project", PROJECTS, indirect=True)
def test_its_own_suite_passes(project: BakedProject) -> None:
    assert " passed" in project.run("pytest", "--quiet").splitlines()[-1]


@pytest.mark.parametrize("project", PROJECTS, indirect=True)
def test_its_migrations_go_down_to_nothing_and_up_again(project: BakedProject) -> None:
    project.run("alembic", "check")
    project.run("alembic", "downgrade", "base")
    project.run("alembic", "upgrade", "head")
    project.run("alembic", "check")
    project.run("python", "-m", "app", "smoke")


@pytest.mark.xdist_group("default")
def test_two_projects_and_a_stranger_share_a_database(
    default: BakedProject, template: Path, tmp_path: Path
) -> None:
    url = default.run("python", "-c", START).splitlines()[-1]
    other = generate(
        template, tmp_path, "table_prefix=support_", "agent_tools=all", CHATKIT_SETUP="skip"
    )
    (other.path / ".venv").symlink_to(default.path / ".venv")
    sql(default, "CREATE TABLE customers (id int PRIMARY KEY); INSERT INTO customers VALUES (7)")
    sql(default, "INSERT INTO chatkit_users (id) VALUES ('stays')")

    other.run("alembic", "upgrade", "head", DATABASE_URL=url)

    other.run("alembic", "check", DATABASE_URL=url)
    default.run("alembic", "check")
    assert "support_threads" in tables(default)
    before = [name for name in tables(default) if not name.startswith("support_")]

    other.run("alembic", "downgrade", "base", DATABASE_URL=url)

    assert [name for name in tables(default) if name != "support_alembic_version"] == before
    assert sql(default, "SELECT id FROM customers") == ["7"]
    assert sql(default, "SELECT id FROM chatkit_users WHERE id = 'stays'") == ["stays"]
    default.run("alembic", "check")


def tables(project: BakedProject) -> list[str]:
    return sql(project, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")


def sql(project: BakedProject, statement: str) -> list[str]:
    words: list[str] = json.loads(project.run("python", "-c", SQL, statement).splitlines()[-1])
    return words
