"""The Dockerfile and the compose file are consistent.

`test_projects.py` executes the Dockerfile's steps.
"""

import io
import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import Bake, BakedProject, clean_environment
from image import (
    arguments_of,
    command_of,
    copies_of,
    environment_of,
    is_in_context,
    read_stages,
    words_of,
)


@pytest.fixture
def project(look: Bake) -> BakedProject:
    return look(agent_tools="all", project_name='Größe & "Maß"')


def test_the_image_has_a_build_stage_and_an_ordinary_user(project: BakedProject) -> None:
    _, build, image = read_stages(project.text("Dockerfile"))

    assert any("uv sync --frozen --no-dev" in text for text in arguments_of(build, "RUN"))
    assert arguments_of(image, "USER") == ["app"]
    assert "/healthz" in command_of(image, "HEALTHCHECK")[-1]
    assert command_of(image, "CMD")[:3] == ["uvicorn", "app.main:create_app", "--factory"]
    # A virtual environment contains its path and its interpreter.
    assert arguments_of(build, "WORKDIR") == arguments_of(image, "WORKDIR")
    assert arguments_of(build, "FROM") == [f"{arguments_of(image, 'FROM')[0]} AS build"]


def test_running_answers_can_finish_before_the_container_is_killed(project: BakedProject) -> None:
    *_, image = read_stages(project.text("Dockerfile"))
    command = command_of(image, "CMD")
    seconds = command[command.index("--timeout-graceful-shutdown") + 1]
    assert int(seconds) >= 10


def test_idle_connections_are_kept_longer_than_load_balancers_do(project: BakedProject) -> None:
    """If the server closed first, requests could be lost; Google's closes after 600 seconds."""
    *_, image = read_stages(project.text("Dockerfile"))
    command = command_of(image, "CMD")
    assert int(command[command.index("--timeout-keep-alive") + 1]) > 600


def test_idle_connections_to_the_page_are_kept_longer_too(look: Bake) -> None:
    _, image = read_stages(look(host_page="nextjs").text("nextjs/Dockerfile"))
    assert int(environment_of(image)["KEEP_ALIVE_TIMEOUT"]) > 600_000


def test_the_pages_image_has_what_its_sources_name(look: Bake) -> None:
    """Next.js reads modules and the application's name from the project's other folders."""
    project = look(host_page="nextjs")
    build, _ = read_stages(project.text("nextjs/Dockerfile"))
    ignore = project.text("nextjs/Dockerfile.dockerignore").splitlines()
    copied = [source for sources, _ in copies_of(build) for source in sources]
    sources = "".join(file.read_text("utf-8") for file in (project.path / "nextjs").rglob("*.ts*"))
    named = set(re.findall(r'"(?:\.\./)*((?:app|engine)/[\w./-]+)"', sources))

    assert {"app/page/page.toml", "engine/page/static/js/page.js"} <= named
    for name in named:
        assert project.has(name)
        assert is_in_context(name, ignore)
        assert [folder for folder in copied if name.startswith(f"{folder}/")], name


@pytest.mark.parametrize(
    ("environment", "port"),
    [({}, "8000"), ({"PORT": ""}, "8000"), ({"PORT": "8080"}, "8080"), ({"PORT": "a b"}, "a b")],
)
def test_it_listens_on_the_platforms_port(
    project: BakedProject, tmp_path: Path, environment: dict[str, str], port: str
) -> None:
    """A shell expands PORT, and `exec` replaces it with the server, which gets the signals."""
    *_, image = read_stages(project.text("Dockerfile"))
    server = tmp_path / "uvicorn"
    server.write_text('#!/bin/sh\necho "$$"\nprintf "%s\\n" "$@"\n', encoding="utf-8")
    server.chmod(0o755)
    with subprocess.Popen(
        words_of(image, "CMD"),
        env={"PATH": f"{tmp_path}:{os.defpath}"} | environment,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        process_id, *told = (process.stdout or io.StringIO()).read().splitlines()

    assert told[told.index("--port") + 1] == port
    assert int(process_id) == process.pid
    assert told == command_of(image, "CMD", **{k: v for k, v in environment.items() if v})[1:]
    assert environment_of(image)["PORT"] in arguments_of(image, "EXPOSE")
    assert compose(project)["services"]["app"]["environment"]["PORT"] == "8000"


TESTED = """
import json
from engine.tests.workers import server_command
print(json.dumps(server_command("app.main:create_app", 8000)))
"""


@pytest.mark.parametrize("auth_style", ["anonymous", "proxy"])
def test_the_engines_tests_run_what_is_served(look: Bake, auth_style: str) -> None:
    """The image's command and the documentation's have the options with which the engine was tested."""
    project = look(auth_style=auth_style)
    *_, image = read_stages(project.text("Dockerfile"))
    printed = subprocess.run(
        [sys.executable, "-c", TESTED],
        cwd=project.path,
        env=clean_environment(),
        capture_output=True,
        check=True,
    )
    tested = ["0.0.0.0" if w == "127.0.0.1" else w for w in json.loads(printed.stdout)]  # noqa: S104
    page = look(auth_style=auth_style, deploy="none").text("docs/deploy.md")
    [told] = re.findall(r"\n\.venv/bin/(uvicorn (?:.*\\\n)*.*)\n", page)

    for program, *served in (command_of(image, "CMD"), shlex.split(told.replace("\\\n", " "))):
        assert program == "uvicorn"
        assert sorted(served) == sorted(tested)


@pytest.mark.parametrize("lock", ["uv.lock", "no-lock"])
@pytest.mark.parametrize("extra", ["", "telemetry"])
def test_an_extra_is_installed_with_a_build_argument(
    project: BakedProject, tmp_path: Path, lock: str, extra: str
) -> None:
    _, build, _ = read_stages(project.text("Dockerfile"))
    [install] = [text for text in arguments_of(build, "RUN") if "uv sync" in text]
    (tmp_path / lock).touch()
    # A fake uv prints its arguments.
    script = f'uv() {{ echo "uv $*"; }}; {install}'
    told = subprocess.run(
        ["/bin/sh", "-c", script],
        cwd=tmp_path,
        env={"EXTRA": extra},
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    ).stdout.splitlines()

    assert arguments_of(build, "ARG") == ["EXTRA="]
    assert compose(project)["services"]["app"]["build"]["args"] == {"EXTRA": "${EXTRA:-}"}
    extras = tomllib.loads(project.text("pyproject.toml"))["project"]["optional-dependencies"]
    assert {*extra.split()} <= {*extras}
    assert re.findall(r" --extra (\S+)", told[-1]) == extra.split()
    assert told[-1].count("--extra") == len(extra.split())


def test_copied_files_are_in_the_build_context(project: BakedProject) -> None:
    ignore = project.text(".dockerignore").splitlines()
    copied = [
        source
        for stage in read_stages(project.text("Dockerfile"))
        for sources, _ in copies_of(stage)
        for source in sources
    ]

    assert [name for name in copied if not is_in_context(name.rstrip("*"), ignore)] == []
    assert [name for name in copied if name != "uv.lock*" and not project.has(name)] == []


@pytest.mark.parametrize(
    "name",
    [
        ".env",
        ".data/postgres/PG_VERSION",
        ".venv/bin/python",
        ".git/config",
        "dev/setup.py",
        "engine/turn/__pycache__/server.pyc",
        "engine/tests/fixtures.py",
    ],
)
def test_secrets_and_development_files_are_excluded(project: BakedProject, name: str) -> None:
    assert not is_in_context(name, project.text(".dockerignore").splitlines())


def test_the_pinned_uv_is_where_the_image_looks_for_it(project: BakedProject) -> None:
    assert len(re.findall(r"^uv==[\d.]+$", project.text("constraints.txt"), re.MULTILINE)) == 1


def test_compose_migrates_before_it_serves(project: BakedProject) -> None:
    services = compose(project)["services"]

    assert services["migrate"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert services["app"]["depends_on"]["migrate"] == {
        "condition": "service_completed_successfully"
    }
    assert services["migrate"]["command"] == ["python", "-m", "app", "migrate"]
    assert services["migrate"]["restart"] == "no"


def test_compose_gives_the_application_its_own_database(project: BakedProject) -> None:
    services = compose(project)["services"]
    account = services["database"]["environment"]
    user, password, name = (account[f"POSTGRES_{key}"] for key in ("USER", "PASSWORD", "DB"))

    for service in ("app", "migrate"):
        environment = services[service]["environment"]
        # PGPASSWORD, because an @ or a # in the URL's password would be misread.
        assert environment["DATABASE_URL"] == f"postgresql://{user}@database:5432/{name}"
        assert environment["PGPASSWORD"] == password
        assert services[service]["env_file"] == ".env"


def test_compose_keeps_its_data_and_opens_nothing_to_the_network(project: BakedProject) -> None:
    parsed = compose(project)
    mounted = {mount.split(":")[0] for mount in parsed["services"]["database"]["volumes"]}
    ports = [port for service in parsed["services"].values() for port in service.get("ports", ())]

    assert mounted == set(parsed["volumes"])
    assert ports == ["127.0.0.1:8000:8000"]


def test_compose_trusts_no_proxy_by_default(project: BakedProject) -> None:
    setting = compose(project)["services"]["app"]["environment"]["FORWARDED_ALLOW_IPS"]

    assert setting == "${FORWARDED_ALLOW_IPS:-127.0.0.1}"


def compose(project: BakedProject) -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(project.text("compose.yaml"))
    return parsed
