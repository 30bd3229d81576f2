"""Every command in README, documentation and projects is run as it stands there, or is named here.

`RUN_IN_DEFAULT` is run by `test_projects.py` in the default project, which is set up. `PROVED_BY` names
the test that runs a command that takes long, changes too much, or needs another project. `NOT_HERE` needs
what the machines of this repository do not have; `docs/deploy.md` in projects says so too.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPO, Bake, clean_environment, copy_template
from documents import commands, table_commands
from matrix import as_answers, rows

# In this order, one after the other.
RUN_IN_DEFAULT = (
    "python3 -m app db start",
    "python3 -m app migrate",
    "python3 -m app usage",
    "python3 -m app feedback",
    "python3 -m app feedback --bad --since 2026-01-31",
    "python3 -m app feedback --json",
)

PROJECT = "{{cookiecutter.project_slug}}"
OWNER = "tests/test_owner_changes.py"
KNOWLEDGE = f"{PROJECT}/engine/tests/commands/test_knowledge.py"
BACKUP = f"{PROJECT}/engine/tests/test_backup.py"
BACKUP_OF_FILES = f"{PROJECT}/engine/tests/attachments/local/test_backup.py"
FILES = "${ATTACHMENT_FOLDER:-.data/attachments}"
PROVED_BY = {
    "make demo": "benchmarks/demo_floor.py",
    "make lint": "tests/test_template.py::test_this_repository_has_the_same_rules",
    "make test": ".ci/run",
    "make test ARGS=--long": ".ci/run",
    "make test ARGS=\"-m 'not slow'\"": ".ci/run",
    'make demo SERVE=0 ANSWERS="agent_tools=chart"': "benchmarks/demo_floor.py",
    'cd "$(make --silent work)/build/demo/my-chat-app" && .venv/bin/python -m pytest --quiet': (
        "tests/test_projects.py::test_its_owners_suite_is_quick"
    ),
    'make test ARGS="tests/test_options.py tests/test_template.py"': ".ci/run",
    'make test ARGS="tests/test_repository.py tests/test_commands.py"': ".ci/run",
    "make demo SERVE=0": "benchmarks/demo_floor.py",
    ".venv/bin/python -m pytest --quiet": "tests/test_projects.py::test_its_owners_suite_is_quick",
    "python3 -m app setup": "tests/test_projects.py::test_setup_can_be_repeated",
    "python3 -m app smoke": OWNER,
    "python3 -m app dev": "tests/test_nextjs.py",
    "python3 -m app doctor": f"{PROJECT}/dev/tests/test_doctor.py",
    'python3 -m app migration "dice rolls"': OWNER,
    "python3 -m app knowledge add docs/ handbook.pdf": KNOWLEDGE,
    "python3 -m app knowledge": KNOWLEDGE,
    "python3 -m app knowledge list": KNOWLEDGE,
    "python3 -m app knowledge remove handbook.pdf": KNOWLEDGE,
    "python3 -m app db dump chat.sql": f"{PROJECT}/dev/tests/test_dump.py",
    "python3 -m app migrate && python3 -m app doctor": f"{PROJECT}/dev/tests/test_doctor.py",
    'pg_dump --format custom --no-owner --file "$BACKUP/chat.dump" "$DATABASE_URL"': BACKUP,
    'pg_restore --no-owner --exit-on-error --dbname "$DATABASE_URL" "$BACKUP/chat.dump"': BACKUP,
    'cp .env "$BACKUP/.env"': BACKUP,
    'cp "$BACKUP/.env" .env': BACKUP,
    f'tar --create --file "$BACKUP/files.tar" --directory "{FILES}" .': BACKUP_OF_FILES,
    f'mkdir -p "{FILES}"': BACKUP_OF_FILES,
    f'tar --extract --file "$BACKUP/files.tar" --directory "{FILES}"': BACKUP_OF_FILES,
    'pg_basebackup --checkpoint fast --dbname "$SERVER" --pgdata "$BACKUP/base"': (
        f"{PROJECT}/engine/tests/test_point_in_time.py"
    ),
    "python3 -m app update": "tests/test_update.py",
    "python3 -m app update --set dictation=yes": "tests/test_update.py",
    "python3 -m app update --set table_prefix=support_": "tests/test_update.py",
    "python3 -m app db distribute": f"{PROJECT}/dev/tests/test_distribute.py",
    "uv run pytest": "tests/test_projects.py::test_its_owners_suite_is_quick",
    "uv run pytest -n 4 engine dev": "tests/test_projects.py::test_its_own_suite_passes",
    'uv run pytest -n 4 engine dev -m ""': "tests/test_projects.py::test_its_own_suite_passes",
    "uv run python -m engine.tests.soak": f"{PROJECT}/engine/tests/test_soak.py",
    "uv run ruff check && uv run ruff format --check && uv run lint-imports && uv run mypy": (
        "tests/test_projects.py::test_it_is_typed"
    ),
    "uv sync --frozen --no-dev": "tests/test_projects.py::test_the_image_migrates_a_database_and_serves",
    "uv sync --inexact --extra telemetry": "tests/test_telemetry.py",
    "npm run check": "tests/test_nextjs.py::test_it_type_checks_with_the_pages_modules",
    "npm run build": "tests/test_nextjs.py::test_a_build_changes_nothing_that_is_committed",
    "cd nextjs && npm ci": "tests/test_nextjs.py",
    "BACKEND_URL=http://127.0.0.1:8000 npm start": "tests/test_nextjs.py",
    ".venv/bin/python -m oidc_provider_mock --port 9400": "tests/test_browser_options.py",
}
PROVED_BY_KIND = {
    r"uvx cookiecutter gh:org/repo \w+=": "tests/test_answers.py",
    r"\.venv/bin/uvicorn app\.main:create_app ": (
        "tests/test_image.py::test_the_engines_tests_run_what_is_served"
    ),
    r"OIDC_DISCOVERY_URL=\S+ .* python3 -m app dev$": "tests/test_browser_options.py",
    r"kubectl create secret generic app ": "tests/test_kubernetes.py",
    r"python3 -m app privacy export$": f"{PROJECT}/engine/tests/commands/test_privacy.py",
    r"python3 -m app users add$": f"{PROJECT}/engine/tests/auth/password",
    r'(?:python3 -m app|uv run alembic) (?:migration|revision).* "…"$': OWNER,
    # Settings, which are shown as they stand in `.env`.
    r"[A-Z_]+=[^ ]*(?: .*})?$": f"{PROJECT}/engine/settings/env_file.py",
}
# Programs, with what is missing here.
NOT_HERE = {
    "docker": "a container engine; CI of a project builds and starts the image",
    "kubectl": "a cluster; the manifests are validated",
    "psql": "PostgreSQL's own programs; test_dump.py reads the file with the embedded one's psql",
    "fly": "an account",
    "gcloud": "an account",
    "systemctl": "a machine that boots with systemd",
    "journalctl": "a machine that boots with systemd",
}
# Run below.
GENERATE = {
    "uvx cookiecutter gh:org/repo": (),
    "pipx run cookiecutter gh:org/repo": ("pipx",),
}

OURS = [REPO / "CONTRIBUTING.md", REPO / "README.md", *(REPO / "docs").rglob("*.md")]
# In tables.
PROGRAMS = ("make ", ".venv/", "python3 -m app ", "uv ")
OPTIONAL = re.compile(r" \[.*?\]")
# Together they have every command.
ANSWERS: tuple[dict[str, str], ...] = (
    {},
    as_answers(rows()["everything"]),
    {"auth_style": "oidc", "host_page": "nextjs"},
    {"deploy": "kubernetes"},
    {"deploy": "none", "auth_style": "proxy"},
)


def documented(look: Bake) -> set[str]:
    """Every command that somebody can read, in blocks and in tables."""
    pages = [REPO / "AGENTS.md", *OURS]
    for answers in ANSWERS:
        project = look(**answers).path
        pages += [project / "README.md", project / "AGENTS.md", *(project / "docs").glob("*.md")]
    texts = [page.read_text(encoding="utf-8") for page in pages]
    listed = {OPTIONAL.sub("", command) for text in texts for command in table_commands(text)}
    return {command for text in texts for command in commands(text)} | {
        command for command in listed if command.startswith(PROGRAMS)
    }


def has_its_proof(command: str) -> bool:
    return (
        command in {*RUN_IN_DEFAULT, *PROVED_BY, *GENERATE}
        or command.split()[0] in NOT_HERE
        or any(re.match(kind, command) for kind in PROVED_BY_KIND)
    )


def test_every_command_is_run_or_named(look: Bake) -> None:
    found = documented(look)

    assert len(found) > 30
    assert [command for command in sorted(found) if not has_its_proof(command)] == []


def test_no_other_commands_are_named(look: Bake) -> None:
    """A command that changes in the documentation changes here too."""
    texts = [file.read_text(encoding="utf-8") for file in (*OURS, REPO / "AGENTS.md")]
    for answers in ANSWERS:
        texts += [text for name, text in look(**answers).files().items() if name.endswith(".md")]
    plain = re.sub(r"\\\n\s*", "", "\n".join(texts))

    named = [*RUN_IN_DEFAULT, *PROVED_BY, *GENERATE]
    assert [command for command in named if command not in plain] == []


def test_the_proofs_exist() -> None:
    for proof in (*PROVED_BY.values(), *PROVED_BY_KIND.values()):
        name, _, test = proof.partition("::")
        assert (REPO / name).exists(), proof
        sources = (REPO / name, REPO / "tests" / "every_project.py") if test else ()
        texts = "".join(file.read_text(encoding="utf-8") for file in sources)
        assert not test or f"def {test}(" in texts, proof


def test_commands_are_valid_for_a_shell(look: Bake) -> None:
    script = "\n".join(command for command in sorted(documented(look)) if "{" not in command)
    subprocess.run(["/bin/sh", "-n"], input=script, check=True, encoding="utf-8")


def test_make_knows_its_targets() -> None:
    """Their recipes are read, without being run."""
    for command in PROVED_BY:
        if command.startswith("make "):
            subprocess.run(
                ["/bin/sh", "-c", command.replace("make ", "make --dry-run ", 1)],
                cwd=REPO,
                check=True,
                stdout=subprocess.DEVNULL,
            )


@pytest.mark.slow
@pytest.mark.parametrize("command", GENERATE)
def test_the_first_command_generates_a_project(command: str, tmp_path: Path) -> None:
    """As it stands, in an empty home; Git gets this repository where the command says GitHub."""
    template = published(tmp_path / "template")
    here = tmp_path / "here"
    here.mkdir()

    done = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=here,
        env=stranger(tmp_path, template),
        input="\n" * 30,  # the default answer to every question
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        check=False,
    )

    assert done.returncode == 0, done.stdout
    assert (here / "my-chat-app" / "app" / "main.py").exists()


def published(folder: Path) -> Path:
    """The template as a repository with one commit."""
    copy_template(folder)
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com")
    for step in (
        ("init", "--quiet", "--initial-branch", "main"),
        ("add", "--all"),
        (*who, "commit", "--quiet", "--message", "all"),
    ):
        subprocess.run(["git", *step], cwd=folder, check=True, env=clean_environment())  # noqa: S607
    return folder


def stranger(folder: Path, template: Path) -> dict[str, str]:
    """The environment of somebody new, with uv and pipx on the PATH and the usual caches."""
    home, programs = folder / "home", folder / "bin"
    home.mkdir()
    programs.mkdir()
    pipx = programs / "pipx"
    pipx.write_text('#!/bin/sh\nexec uvx pipx "$@"\n', encoding="utf-8")
    pipx.chmod(0o755)
    environment = clean_environment()
    cache = environment.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
    return environment | {
        "CHATKIT_SETUP": "skip",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{template}.insteadOf",
        "GIT_CONFIG_VALUE_0": "https://github.com/org/repo.git",
        "HOME": str(home),
        "PATH": os.pathsep.join(
            (str(programs), str(Path(sys.executable).parent), os.environ["PATH"])
        ),
        "UV_CACHE_DIR": cache,
    }
