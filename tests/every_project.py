"""Tests of every generated project, for all answers."""

import ast
import itertools
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from conformance import check_conformance, check_doors
from conftest import TEMPLATE, BakedProject, cache_of_types
from matrix import first_rows
from serving import visited

GIT_STATUS = """
import subprocess
subprocess.run(["git", "status", "--porcelain"], check=True)
"""
# Several commands in one process, because its start takes longest.
ALEMBIC = """
import sys
from alembic.config import main
for command in sys.argv[1:]:
    main(command.split())
"""
# The maximum number of schemathesis' requests to each route, in `make matrix` and in `make test`.
EXAMPLES, FEW_EXAMPLES = 50, 15
# Includes slow tests, which are deselected by default.
WHOLE_SUITE = "-m ''"
# `alone.py` runs it.
THOUSAND = "engine/tests/chat/test_open_streams.py::test_open_answers_keep_nobody_waiting_for_a_connection[1000]"
# Tests that do not depend on answers and run only in the default project, in `make matrix` also in the one
# with all options: turns, models, failures of server and database, and setup.
PROVED_IN_DEFAULT = (
    *("engine/tests/agent", "engine/tests/chat", "engine/tests/tools"),
    *("dev/tests/test_cli.py", "dev/tests/test_machines.py", "dev/tests/test_postgres.py"),
    *("dev/tests/test_setup.py", "dev/tests/test_env_file.py"),
    *("engine/tests/telemetry", "engine/tests/test_access_log.py"),
    *("engine/tests/test_citus_rules.py", "engine/tests/test_database_faults.py"),
    *("engine/tests/test_database_url.py", "engine/tests/test_failover.py"),
    *("engine/tests/test_flat_history.py", "engine/tests/test_http_server.py"),
    *("engine/tests/test_migrating.py", "engine/tests/test_oldest_postgres.py"),
    *("engine/tests/test_partitions.py", "engine/tests/test_pgbouncer.py"),
    *("engine/tests/test_processes.py", "engine/tests/test_soak.py"),
    *("engine/tests/test_unusable_databases.py", "engine/tests/usage"),
)
# Part of them, in projects with such a model: test_litellm.py runs it.
PROVED_BY_ITSELF = "engine/tests/agent/litellm"
# Tests of parts that do not depend on answers either, but have more to test with more options.
PROVED_WITH_ALL_OPTIONS = (
    *("engine/tests/commands", "engine/tests/dictation", "engine/tests/toolkits"),
    *("engine/tests/test_hostile.py", "engine/tests/test_row_security.py"),
    *("engine/tests/web/test_javascript.py", "engine/tests/web/js"),
)
# Of the projects with other answers than the default ones, only the one with all options runs these and
# the tests of tools. Tools for files are tested with each store of files.
PROVED_IN_EVERYTHING = (
    *PROVED_WITH_ALL_OPTIONS,
    *("tests/tools/test_chart.py", "tests/tools/email"),
    *("tests/tools/test_knowledge.py", "tests/tools/mcp"),
    *("tests/tools/test_notes.py", "tests/tools/test_results.py", "tests/tools/test_statements.py"),
    *("tests/tools/test_page.py", "tests/tools/test_sql.py", "tests/tools/test_web_search.py"),
)


def is_matrix(config: pytest.Config) -> bool:
    return bool(config.getoption("matrix"))


def suite_of_default(config: pytest.Config) -> dict[str, str]:
    """The environment for the suite of the default project."""
    elsewhere = "" if is_matrix(config) else without(PROVED_WITH_ALL_OPTIONS)
    return {"PYTEST_ADDOPTS": f"{WHOLE_SUITE} --deselect {THOUSAND} {elsewhere}"}


def suite_of_everything(config: pytest.Config) -> dict[str, str]:
    """The environment for the suite of the project with all options."""
    return {} if is_matrix(config) else {"PYTEST_ADDOPTS": without(PROVED_IN_DEFAULT)}


def suite_of_row(config: pytest.Config, name: str) -> dict[str, str]:
    """The environment for the suite of another project: the tests that depend on its answers."""
    if is_matrix(config):
        return {"PYTEST_ADDOPTS": without(PROVED_IN_DEFAULT)}
    elsewhere: tuple[str, ...] = PROVED_IN_DEFAULT + PROVED_IN_EVERYTHING
    if has_files_like_another(name):
        elsewhere += ("engine/tests/attachments", "tests/tools/test_documents.py")
    return {"PYTEST_ADDOPTS": without(elsewhere)}


def has_files_like_another(name: str) -> bool:
    """True if an earlier row keeps attached files in the same store, and has its tools."""
    before = itertools.takewhile(lambda other: other != name, first_rows())
    stores = [first_rows()[other]["attachments"] for other in before]
    return first_rows()[name]["attachments"] in stores


def without(places: Iterable[str]) -> str:
    return " ".join(f"--ignore={place}" for place in places)


def missing_tests(project: BakedProject, places: Iterable[str]) -> list[str]:
    """Tests of the template at these paths that the project does not have."""
    files = [
        str(file.relative_to(TEMPLATE))
        for place in places
        for file in (TEMPLATE / place, *(TEMPLATE / place).rglob("*.*"))
    ]
    here = [file for file in files if not file.startswith(PROVED_BY_ITSELF)]
    return [file for file in here if not project.has(file)]


class EveryProject:
    """Tests of one project. A class runs in one worker, so that the project is set up once."""

    # Those of its own suite: more where most tests wait.
    processes = 0

    def test_setup_runs_the_smoke_test(self, project: BakedProject) -> None:
        assert "smoke test … ok" in project.output
        assert "Done." in project.output

    def test_secrets_and_data_are_ignored_by_git(self, project: BakedProject) -> None:
        untracked = project.run("python", "-c", GIT_STATUS).splitlines()

        assert "?? uv.lock" in untracked
        assert not [
            line for line in untracked if line.startswith(("?? .env/", "?? .venv", "?? .data"))
        ]
        assert "?? .env" not in untracked

    def test_it_is_linted_and_formatted(self, project: BakedProject) -> None:
        project.run("ruff", "check", ".")
        project.run("ruff", "format", "--check", ".")
        project.run("lint-imports", "--no-cache")

    def test_it_is_typed(self, project: BakedProject, pytestconfig: pytest.Config) -> None:
        """With the libraries of these tests, so that mypy's cache is shared."""
        shared = [] if is_matrix(pytestconfig) else ["--python-executable", sys.executable]
        with cache_of_types() as cache:
            project.run("mypy", "--cache-dir", str(cache), *shared)

    def test_its_own_suite_passes(self, project: BakedProject) -> None:
        suites = ("tests", "engine", "dev")
        said = project.run("pytest", "--quiet", "-n", str(self.processes), *suites)
        assert " passed" in said.splitlines()[-1]

    def test_its_migrations_can_be_downgraded_and_upgraded(self, project: BakedProject) -> None:
        """The owner's first migration after them is empty and well-formed."""
        versions = project.path / "migrations" / "versions"
        before = set(versions.glob("*.py"))
        to_and_fro = ("check", "downgrade base", "upgrade heads", "check")

        project.run("python", "-c", ALEMBIC, *to_and_fro)
        project.run("python", "-m", "app", "migration", "first", "--empty")
        project.run("python", "-c", ALEMBIC, "upgrade heads", "downgrade owner@base")

        [made] = set(versions.glob("*.py")) - before
        try:
            module = ast.parse(made.read_text(encoding="utf-8"))
            steps = [node.body for node in module.body if isinstance(node, ast.FunctionDef)]
            assert [[type(step) for step in body] for body in steps] == [[ast.Pass], [ast.Pass]]
            project.run("ruff", "format", "--check", str(made))
        finally:
            made.unlink()

    def test_its_api_conforms_to_its_openapi_document(
        self, project: BakedProject, tmp_path: Path, pytestconfig: pytest.Config
    ) -> None:
        """On the database that was downgraded and upgraded again."""
        with visited(project) as visitor:
            check_doors(visitor)
            check_conformance(
                visitor, tmp_path, EXAMPLES if is_matrix(pytestconfig) else FEW_EXAMPLES
            )
