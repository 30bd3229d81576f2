"""What each generated project has to stand, whatever was answered."""

import ast
import sys
from collections.abc import Iterable
from pathlib import Path

import pytest
from conformance import check_conformance, check_doors
from conftest import TEMPLATE, BakedProject, cache_of_types
from serving import visited

GIT_STATUS = """
import subprocess
subprocess.run(["git", "status", "--porcelain"], check=True)
"""
# Several commands in one process: to start it takes longer than what it does.
ALEMBIC = """
import sys
from alembic.config import main
for command in sys.argv[1:]:
    main(command.split())
"""
# The most that schemathesis tries for each route: in `make matrix`, and in `make test`.
EXAMPLES, FEW_EXAMPLES = 50, 15
# With the tests that its owner leaves out on most days.
WHOLE_SUITE = "-m ''"
# `alone.py` runs it.
THOUSAND = "engine/tests/chat/test_open_streams.py::test_open_answers_keep_nobody_waiting_for_a_connection[1000]"
# What is the same whatever was answered, and is proved in the default project: how a turn goes, what
# the server and the database do when they are killed, paused and restarted, what models there are.
PROVED_IN_DEFAULT = (
    *(
        "engine/tests/test_database_faults.py",
        "engine/tests/test_processes.py",
        "engine/tests/test_pgbouncer.py",
    ),
    *(
        "engine/tests/test_soak.py",
        "engine/tests/test_flat_history.py",
        "dev/tests/test_postgres.py",
    ),
    *(
        "engine/tests/test_failover.py",
        "engine/tests/test_oldest_postgres.py",
        "engine/tests/test_database_url.py",
    ),
    *("engine/tests/test_unusable_databases.py", "engine/tests/test_citus_rules.py"),
    "engine/tests/chat/test_sequence.py",
    *(
        "engine/tests/agent/test_faults.py",
        "engine/tests/agent/test_titles.py",
        "engine/tests/tools/test_base.py",
    ),
    *("engine/tests/agent/test_litellm_models.py", "engine/tests/agent/test_litellm_answers.py"),
    "engine/tests/agent/test_openai_servers.py",
    *(
        "engine/tests/chat/test_actions.py",
        "engine/tests/chat/test_client_tools.py",
        "engine/tests/chat/test_events.py",
    ),
    *(
        "engine/tests/chat/test_failures.py",
        "engine/tests/chat/test_interrupted.py",
        "engine/tests/chat/test_limits.py",
    ),
    *("engine/tests/chat/test_open_streams.py", "engine/tests/chat/test_page_context.py"),
    *(
        "engine/tests/chat/test_recovery.py",
        "engine/tests/chat/test_runs.py",
        "engine/tests/chat/test_salvage.py",
    ),
    *(
        "engine/tests/chat/test_sources.py",
        "engine/tests/chat/test_turn.py",
        "engine/tests/chat/test_widgets.py",
    ),
)
# What a tool does, or another part that stands alone, is proved in the project that has them all.
# (Tools that read and make files are proved with each store of files.)
PROVED_IN_EVERYTHING = (
    *("tests/tools/test_chart.py", "tests/tools/test_email.py"),
    *("tests/tools/test_knowledge.py", "tests/tools/test_mcp.py"),
    *("tests/tools/test_notes.py", "tests/tools/test_results.py"),
    *("tests/tools/test_page.py", "tests/tools/test_sql.py"),
    *("tests/tools/test_web_search.py", "engine/tests/toolkits"),
    *(
        "engine/tests/commands",
        "engine/tests/dictation",
        "engine/tests/web/test_javascript.py",
        "engine/tests/web/js",
    ),
    "engine/tests/test_hostile.py",  # it sends every request that any project takes
)


def is_matrix(config: pytest.Config) -> bool:
    return bool(config.getoption("matrix"))


def suite_of_default() -> dict[str, str]:
    """What the default project's suite is run with."""
    return {"PYTEST_ADDOPTS": f"{WHOLE_SUITE} --deselect {THOUSAND}"}


def suite_of_everything(config: pytest.Config) -> dict[str, str]:
    """What the suite of the project with everything is run with: there each tool is."""
    return {} if is_matrix(config) else {"PYTEST_ADDOPTS": without(PROVED_IN_DEFAULT)}


def suite_of_row(config: pytest.Config) -> dict[str, str]:
    """What another project's suite is run with: all of what its answers decide."""
    return (
        {}
        if is_matrix(config)
        else {"PYTEST_ADDOPTS": without(PROVED_IN_DEFAULT + PROVED_IN_EVERYTHING)}
    )


def without(places: Iterable[str]) -> str:
    return " ".join(f"--ignore={place}" for place in places)


def missing_tests(project: BakedProject, places: Iterable[str]) -> list[str]:
    """What the template has at these places, and the project has not."""
    files = [
        str(file.relative_to(TEMPLATE))
        for place in places
        for file in (TEMPLATE / place, *(TEMPLATE / place).rglob("*.*"))
    ]
    return [file for file in files if not project.has(file)]


class EveryProject:
    """What each of them has to stand. A class of tests is one worker's: it is set up once."""

    def test_setup_proves_the_project(self, project: BakedProject) -> None:
        assert "smoke test … ok" in project.output
        assert "Done." in project.output

    def test_what_must_not_be_committed_is_ignored(self, project: BakedProject) -> None:
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
        """(With the libraries of these tests, which all can share: that is read once.)"""
        shared = [] if is_matrix(pytestconfig) else ["--python-executable", sys.executable]
        with cache_of_types() as cache:
            project.run("mypy", "--cache-dir", str(cache), *shared)

    def test_its_own_suite_passes(self, project: BakedProject) -> None:
        assert (
            " passed" in project.run("pytest", "--quiet", "tests", "engine", "dev").splitlines()[-1]
        )

    def test_its_api_is_what_its_openapi_document_says(
        self, project: BakedProject, tmp_path: Path, pytestconfig: pytest.Config
    ) -> None:
        with visited(project) as visitor:
            check_doors(visitor)
            check_conformance(
                visitor, tmp_path, EXAMPLES if is_matrix(pytestconfig) else FEW_EXAMPLES
            )

    def test_its_migrations_go_down_to_nothing_and_up_again(self, project: BakedProject) -> None:
        """And the first of its owner after them is empty and in good form."""
        versions = project.path / "migrations" / "versions"
        before = set(versions.glob("*.py"))
        to_and_fro = ("check", "downgrade base", "upgrade head", "check")
        own = ("revision --autogenerate --message first", "upgrade head", "downgrade -1")

        project.run("python", "-c", ALEMBIC, *to_and_fro, *own)

        [made] = set(versions.glob("*.py")) - before
        try:
            module = ast.parse(made.read_text(encoding="utf-8"))
            steps = [node.body for node in module.body if isinstance(node, ast.FunctionDef)]
            assert [[type(step) for step in body] for body in steps] == [[ast.Pass], [ast.Pass]]
            project.run("ruff", "format", "--check", str(made))
        finally:
            made.unlink()
        assert project.run("python", "-m", "app", "smoke")
