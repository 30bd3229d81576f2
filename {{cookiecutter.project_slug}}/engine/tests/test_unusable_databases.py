"""Databases that are not usable: every part gives the reason and the fix in one line."""

import asyncio
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from engine.database import migrations, server_check
from engine.database.autogenerate import write_migration
from engine.database.database import TABLE_PREFIX, VERSION_TABLE, new_engine
from engine.database.migrations import MigrationRefused
from engine.database.server_check import UnusableDatabase, check_database
from engine.operate import doctor
from engine.operate.commands.migrate import upgrade
from engine.settings.settings import PROJECT_ROOT, Settings
from engine.tests.application import create_app
from engine.tests.fixtures import new_database, serving


@pytest.fixture(autouse=True)
def _url_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")  # which `upgrade` changes


@pytest.fixture
def empty_url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, f"unusable_{secrets.token_hex(4)}") as url:
        yield url


def execute(url: str, *statements: str) -> None:
    async def run() -> None:
        engine = new_engine(url, isolation_level="AUTOCOMMIT")
        async with engine.connect() as connection:
            for statement in statements:
                await connection.execute(text(statement))
        await engine.dispose()

    asyncio.run(run())


def refused_by_migrate(url: str) -> str:
    with pytest.raises(MigrationRefused) as refused:
        upgrade(url)
    return one_line(str(refused.value))


def refused_by_doctor(settings: Settings, url: str) -> str:
    finding = doctor.database(url)
    if finding.state == "ok":
        finding = doctor.migrations(url)
    assert finding.state == "fail"
    return one_line(finding.text)


def refused_by_probe(settings: Settings, url: str) -> str:
    async def ask() -> httpx2.Response:
        app = create_app(settings.model_copy(update={"database_url": url}))
        async with serving(app) as base, httpx2.AsyncClient(base_url=base, timeout=30) as client:
            return await client.get("/readyz")

    response = asyncio.run(ask())
    assert response.status_code == 503, response.text
    return one_line(response.json()["error"]["message"])


def one_line(said: str) -> str:
    assert "\n" not in said
    return said


@pytest.fixture
def url_without_create(empty_url: str, postgres_url: str) -> Iterator[str]:
    """The URL of a role without CREATE on the schema, the default since PostgreSQL 15."""
    role = f"weak_{secrets.token_hex(4)}"
    execute(empty_url, f"CREATE ROLE {role} LOGIN PASSWORD 'weak'")
    execute(empty_url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    url = make_url(empty_url).set(username=role, password="weak")  # noqa: S106
    yield url.render_as_string(hide_password=False)
    execute(empty_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_role_without_create_privilege(settings: Settings, url_without_create: str) -> None:
    mend = f"GRANT USAGE, CREATE ON SCHEMA public TO {make_url(url_without_create).username}"
    assert refused_by_migrate(url_without_create).endswith(mend)
    assert refused_by_doctor(settings, url_without_create).endswith(mend)
    assert refused_by_probe(settings, url_without_create).endswith(mend)


def test_a_role_without_select_on_the_version_table(
    settings: Settings, url_without_create: str, empty_url: str
) -> None:
    execute(empty_url, f"CREATE TABLE {VERSION_TABLE} (version_num text)")
    for said in (
        refused_by_migrate(url_without_create),
        refused_by_doctor(settings, url_without_create),
    ):
        assert "permission denied for table" in said
    assert "doctor" in refused_by_probe(settings, url_without_create)


def test_a_search_path_without_schema(settings: Settings, empty_url: str) -> None:
    name = make_url(empty_url).database
    execute(empty_url, f'ALTER DATABASE "{name}" SET search_path = nowhere')
    for said in (
        refused_by_migrate(empty_url),
        refused_by_doctor(settings, empty_url),
        refused_by_probe(settings, empty_url),
    ):
        assert "schema" in said
        assert said.endswith("or correct the search_path.")


def test_a_table_of_that_name_exists(settings: Settings, empty_url: str) -> None:
    execute(empty_url, f"CREATE TABLE {TABLE_PREFIX}users (id int)")
    for said in (
        refused_by_migrate(empty_url),
        refused_by_doctor(settings, empty_url),
        refused_by_probe(settings, empty_url),
    ):
        assert f"{TABLE_PREFIX}users" in said
        assert said.endswith("Rename or drop it, or use another database.")


def test_the_commands_print_one_line(url_without_create: str) -> None:
    for command in (["-m", "app", "migrate"], ["-m", "alembic", "upgrade", "heads"]):
        done = subprocess.run(  # noqa: S603 (commands of ours)
            [sys.executable, *command],
            cwd=PROJECT_ROOT,
            env=os.environ | {"DATABASE_URL": url_without_create},
            capture_output=True,
            text=True,
            check=False,
        )
        said = f"{done.stdout}{done.stderr}".splitlines()
        assert done.returncode != 0
        assert len([line for line in said if "GRANT USAGE, CREATE" in line]) == 1
        assert "Traceback" not in "".join(said)


def test_a_database_that_is_not_utf_8(settings: Settings, postgres_url: str) -> None:
    name = f"latin_{secrets.token_hex(4)}"
    execute(
        postgres_url,
        f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C' TEMPLATE template0"
        if _provides_locales(postgres_url)
        else f"CREATE DATABASE {name} ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
    )
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    try:
        assert "encoding is LATIN1" in refused_by_migrate(url)
        assert "encoding is LATIN1" in refused_by_doctor(settings, url)
        assert "encoding is LATIN1" in refused_by_probe(settings, url)
        with pytest.raises(UnusableDatabase, match="encoding is LATIN1"):  # setup
            check_database(url)
    finally:
        execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def _provides_locales(url: str) -> bool:
    return int(check_database(url).split()[1].split(".")[0]) >= 15


def test_a_server_that_is_too_old(
    settings: Settings, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert server_check.OLDEST_POSTGRES == 13
    monkeypatch.setattr(server_check, "OLDEST_POSTGRES", 99)
    for said in (
        refused_by_migrate(database_url),
        refused_by_doctor(settings, database_url),
        refused_by_probe(settings, database_url),
    ):
        assert "is too old: 99 or newer is needed." in said


@pytest.fixture
def odd_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project in a folder whose name has a % in it."""
    folder = tmp_path / "100% done"
    for place in ("migrations", "engine/migrations"):
        shutil.copytree(PROJECT_ROOT / place, folder / place)
    for name in ("alembic.ini", "pyproject.toml"):
        shutil.copy(PROJECT_ROOT / name, folder)
    monkeypatch.setattr(migrations, "PROJECT_ROOT", folder)
    return folder


def test_a_percent_sign_in_the_path(odd_folder: Path, empty_url: str) -> None:
    upgrade(empty_url)
    done = subprocess.run(
        [sys.executable, "-m", "alembic", "heads"],
        cwd=odd_folder,
        env=os.environ | {"PYTHONPATH": str(PROJECT_ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == migrations.newest_revisions()


MIGRATION = """revision, down_revision = {revision!r}, {continues!r}
branch_labels, depends_on = None, {needs!r}

def upgrade() -> None: ...
"""


def write_own(folder: Path, revision: str, continues: str | None, needs: str | None = None) -> None:
    text = MIGRATION.format(revision=revision, continues=continues, needs=needs)
    (folder / "migrations" / "versions" / f"{revision}.py").write_text(text)


@pytest.mark.parametrize(
    ("continues", "needs", "said"),
    [
        ("0012", None, "migrations/versions/own.py continues 0012"),
        (None, "lost_0001", "migrations/versions/own.py needs the migration lost_0001"),
    ],
)
def test_a_migration_that_continues_one_that_is_not_there(
    settings: Settings,
    odd_folder: Path,
    database_url: str,
    empty_url: str,
    continues: str | None,
    needs: str | None,
    said: str,
) -> None:
    write_own(odd_folder, "own", continues, needs)
    for refusal in (
        refused_by_migrate(empty_url),
        refused_by_doctor(settings, database_url),
        refused_by_probe(settings, database_url),
    ):
        assert refusal.startswith(said)


def test_two_ends_of_the_applications_branch(odd_folder: Path, empty_url: str) -> None:
    """As after two people have added a migration each. Both are applied."""
    for revision in ("one", "two"):
        write_own(odd_folder, revision, None, "core_0001")
    upgrade(empty_url)
    with pytest.raises(MigrationRefused, match="alembic merge one two -m merge"):
        write_migration("third")
