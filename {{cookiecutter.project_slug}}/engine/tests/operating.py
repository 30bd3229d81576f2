"""Runs the commands of docs/operate.md as they stand there."""

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dotenv import dotenv_values
from pydantic import SecretStr

from dev.paths import PROJECT_ROOT
from dev.postgres_programs import find_programs
from engine.operate.commands.migrate import upgrade
from engine.settings.database_url import psql_arguments
from engine.tests.fixtures import new_database

# The tests call it themselves, in their own process.
OWN_COMMANDS = re.compile(r"^python3 -m app .*\n", re.M)


def blocks(heading: str, language: str) -> list[str]:
    """The blocks in that language under a heading of the page."""
    page = (PROJECT_ROOT / "docs" / "operate.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", section, re.M | re.S)


def run(script: str, project: Path, url: str, **environment: str) -> None:
    """Run commands in a project's folder, with the database at `url`."""
    place, passwords = psql_arguments(url)
    path = f"{find_programs()}{os.pathsep}{os.environ['PATH']}"
    shell = ["/bin/sh", "-e", "-c", OWN_COMMANDS.sub("", script)]
    subprocess.run(  # noqa: S603 (the page's commands)
        shell,
        cwd=project,
        env=os.environ | passwords | environment | {"DATABASE_URL": place, "PATH": path},
        check=True,
    )


def secret_key(project: Path) -> SecretStr:
    """The one in a project's `.env`."""
    return SecretStr(dotenv_values(project / ".env")["SECRET_KEY"] or "")


@contextmanager
def used_and_empty(postgres_url: str) -> Iterator[tuple[str, str]]:
    """The URLs of a database with tables, and of one without."""
    name = secrets.token_hex(4)
    with (
        new_database(postgres_url, f"used_{name}") as used,
        new_database(postgres_url, f"empty_{name}") as empty,
    ):
        upgrade(used)
        yield used, empty
