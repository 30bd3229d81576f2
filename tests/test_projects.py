"""Complete projects: setup, test suites, migrations and smoke tests.

Each is generated under difficult conditions that may occur on a user's machine.
"""

import json
import os
import re
import resource
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from conftest import (
    BUILD,
    PRESETS,
    BakedProject,
    check,
    clean_environment,
    generate,
    lack,
    output_of,
)
from every_project import (
    PROVED_IN_DEFAULT,
    PROVED_IN_EVERYTHING,
    EveryProject,
    is_matrix,
    missing_tests,
    suite_of_default,
    suite_of_everything,
    suite_of_row,
)
from image import command_of, copy_into_image, read_stages
from owner import ENGINES_TESTS, changed
from serving import START, answers, served
from sqlalchemy.engine import make_url
from test_commands import RUN_IN_DEFAULT
from test_hooks import without_uv

# `uv run pytest`, as an owner runs it, takes no longer than this on two cores.
OWNERS_SECONDS = 30
NOBODY = "postgresql+asyncpg://nobody@127.0.0.1:9/nothing"
SQL = """
import json, subprocess, sys
from dev.paths import POSTGRES_DIR
from dev.postgres import Postgres
from dev.postgres_programs import find_programs
from engine.settings.database_url import psql_arguments
place, _ = psql_arguments(Postgres(POSTGRES_DIR).url)
command = [find_programs() / "psql", place, "-X", "-A", "-t", "-c", sys.argv[1]]
done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True)
print(json.dumps(done.stdout.split()))
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def default(
    pytestconfig: pytest.Config, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BakedProject]:
    """Its first setup failed because of an unavailable database, and was continued."""
    project = generate(
        template, tmp_path_factory.mktemp("default"), CHATKIT_SETUP="run", DATABASE_URL=NOBODY
    )
    assert "database … failed" in project.output
    assert "No database answers at postgresql://nobody@127.0.0.1:9" in project.output
    assert "-m app setup" in project.output

    output = project.run("python", "-m", "app", "setup")
    yield BakedProject(project.path, output, environment=suite_of_default(pytestconfig))

    project.run("python", "-m", "app", "db", "stop")


@pytest.fixture(scope="session")
def minimal(
    pytestconfig: pytest.Config, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BakedProject]:
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

    yield replace(project, environment=environment | suite_of_row(pytestconfig, "minimal"))

    project.run("python", "-m", "app", "db", "stop")


@pytest.fixture(scope="session")
def everything(
    pytestconfig: pytest.Config, template: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BakedProject]:
    """Set up while another program uses the port."""
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

    # Other projects get fewer requests.
    hostile = {"HOSTILE_REQUESTS": "10000" if is_matrix(pytestconfig) else "1000"}
    yield replace(project, environment=suite_of_everything(pytestconfig) | hostile)

    project.run("python", "-m", "app", "db", "stop")


class ProjectSetUpTwice(EveryProject):
    def test_setup_can_be_repeated(self, project: BakedProject) -> None:
        secrets, lock = project.text(".env"), project.text("uv.lock")

        said = run_as_documented(project, "python3 -m app setup")

        assert "smoke test … ok" in said
        assert (project.text(".env"), project.text("uv.lock")) == (secrets, lock)


class TestDefault(ProjectSetUpTwice):
    processes = 2

    @pytest.fixture
    def project(self, default: BakedProject) -> BakedProject:
        return default

    def test_it_is_typed(self, project: BakedProject, pytestconfig: pytest.Config) -> None:
        """With its own environment."""
        project.run("mypy", "--cache-dir", str(BUILD / "types-of-default"))

    def test_its_owners_suite_is_quick(self, project: BakedProject) -> None:
        """Seconds of this machine's time, which may have other things to do as well."""
        before = processor_seconds()

        assert " passed" in project.run("pytest", "--quiet").splitlines()[-1]

        assert processor_seconds() - before < OWNERS_SECONDS

    def test_imports_over_a_border_are_refused(self, project: BakedProject) -> None:
        """Also imports of modules of the engine that the list in pyproject.toml does not have."""
        crossings = {
            "app": ("dev.setup", "engine.auth.cookies", "engine.chat", "engine.settings.settings"),
            "engine": ("app.main", "dev.setup"),
        }
        added = {project.path / name / "crossing.py": names for name, names in crossings.items()}
        for file, names in added.items():
            file.write_text("".join(f"import {name}\n" for name in names), encoding="utf-8")
        try:
            said = project.run("lint-imports", "--no-cache", check=False)
        finally:
            for file in added:
                file.unlink()

        refused = set(re.findall(r"^-   (\w+)\.crossing -> ([\w.]+) ", said, re.M))
        assert refused == {(name, to) for name, names in crossings.items() for to in names}

    def test_garbage_is_not_searched_while_it_is_imported(self, project: BakedProject) -> None:
        """Several searches of everything made its start a tenth slower."""
        searches = "import app.main, gc; print(gc.get_stats()[2]['collections'])"
        assert int(project.run("python", "-c", searches)) <= 1

    @pytest.mark.parametrize("command", RUN_IN_DEFAULT)
    def test_a_command_of_the_readme_works_as_it_stands(
        self, project: BakedProject, command: str
    ) -> None:
        run_as_documented(project, command)

    @pytest.mark.long
    def test_what_its_owner_changes_makes_no_test_of_the_engine_fail(
        self, project: BakedProject, tmp_path: Path
    ) -> None:
        owned = changed(project, tmp_path / "owned")

        owned.run("lint-imports", "--no-cache")
        owned.run("pytest", "--quiet", "tests", *ENGINES_TESTS)

    def test_it_has_the_tests_that_other_projects_skip(self, default: BakedProject) -> None:
        assert missing_tests(default, PROVED_IN_DEFAULT) == []

    def test_the_image_migrates_a_database_and_serves(
        self, default: BakedProject, tmp_path: Path
    ) -> None:
        """Follows the steps of the Dockerfile; the image needs no other files."""
        server = default.run("python", "-c", START).splitlines()[-1]
        sql(default, "CREATE DATABASE deployed")
        url = make_url(server).set(database="deployed").render_as_string(hide_password=False)
        container = secrets(default) | {"DATABASE_URL": url}
        srv = BakedProject(tmp_path / "srv", environment=container)
        _, build, image = read_stages(default.text("Dockerfile"))

        copy_into_image(default.path, build, srv.path)
        interpreter = default.run("python", "-c", "import sys; print(sys._base_executable)").strip()
        uv = {"UV_PYTHON": interpreter, "UV_PYTHON_DOWNLOADS": "never"}
        check("uv", "sync", "--frozen", "--no-dev", cwd=srv.path, **uv)
        esbuild = default.path / ".data" / "esbuild" / "node_modules" / ".bin" / "esbuild"
        if not esbuild.exists():
            lack("setup has not installed esbuild, which needs npm")
        srv.run("python", "-m", "engine.page.bundle", "app/page", ESBUILD=str(esbuild))
        built = (srv.path / "app" / "page" / ".built").rename(tmp_path / "built")
        for file in srv.path.iterdir():
            if file.is_dir() and file.name != ".venv":
                shutil.rmtree(file)
            elif file.is_file():
                file.unlink()
        copy_into_image(default.path, image, srv.path)
        built.rename(srv.path / "app" / "page" / ".built")
        srv.run("alembic", "upgrade", "heads")

        assert not srv.has("dev")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = str(free.getsockname()[1])
        with served(srv, command_of(image, "CMD", PORT=port)):
            assert answers(f"http://127.0.0.1:{port}/readyz")
            srv.run(*command_of(image, "HEALTHCHECK"), PORT=port)
            html = httpx2.get(f"http://127.0.0.1:{port}/").text
            assert re.search(r'src="static/js/main\.[0-9a-f]{16}\.js"', html)

    def test_two_projects_and_another_table_share_a_database(
        self, default: BakedProject, template: Path, tmp_path: Path
    ) -> None:
        url = default.run("python", "-c", START).splitlines()[-1]
        other = generate(
            template, tmp_path, "table_prefix=support_", "agent_tools=all", CHATKIT_SETUP="skip"
        )
        (other.path / ".venv").symlink_to(default.path / ".venv")
        sql(
            default, "CREATE TABLE customers (id int PRIMARY KEY); INSERT INTO customers VALUES (7)"
        )
        sql(default, "INSERT INTO chatkit_users (id) VALUES ('stays')")

        other.run("alembic", "upgrade", "heads", DATABASE_URL=url)

        other.run("alembic", "check", DATABASE_URL=url)
        default.run("alembic", "check")
        assert "support_threads" in tables(default)
        before = [name for name in tables(default) if not name.startswith("support_")]

        other.run("alembic", "downgrade", "base", DATABASE_URL=url)

        assert [name for name in tables(default) if name != "support_alembic_version"] == before
        assert sql(default, "SELECT id FROM customers") == ["7"]
        assert sql(default, "SELECT id FROM chatkit_users WHERE id = 'stays'") == ["stays"]
        default.run("alembic", "check")


@pytest.mark.long
class TestMinimal(ProjectSetUpTwice):
    @pytest.fixture
    def project(self, minimal: BakedProject) -> BakedProject:
        return minimal


class TestEverything(EveryProject):
    @pytest.fixture
    def project(self, everything: BakedProject) -> BakedProject:
        return everything

    def test_it_has_the_tests_that_other_projects_skip(self, everything: BakedProject) -> None:
        assert missing_tests(everything, PROVED_IN_EVERYTHING) == []


def run_as_documented(project: BakedProject, command: str) -> str:
    """The output of a command that is typed as it stands in the documentation."""
    programs = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    variables = clean_environment() | {"PATH": programs} | project.environment
    return output_of("/bin/sh", "-c", command, cwd=project.path, env=variables)


def secrets(project: BakedProject) -> dict[str, str]:
    """The values that compose reads from `.env`."""
    lines = [line for line in project.text(".env").splitlines() if not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines if line)


def tables(project: BakedProject) -> list[str]:
    return sql(project, "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")


def sql(project: BakedProject, statement: str) -> list[str]:
    words: list[str] = json.loads(project.run("python", "-c", SQL, statement).splitlines()[-1])
    return words


def processor_seconds() -> float:
    """The CPU seconds of this process's children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
