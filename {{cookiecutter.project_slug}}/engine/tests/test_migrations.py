"""The migrations are complete and reversible, and leave tables of others alone."""

import argparse
import asyncio
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Integer,
    Table,
    Text,
    inspect,
    text,
)
from sqlalchemy.ext.asyncio import create_async_engine

from engine.database import migrations
from engine.database.autogenerate import prefix_by_name, write_migration
from engine.database.database import TABLE_PREFIX, VERSION_TABLE, Base
from engine.database.migrations import alembic_config
from engine.database.rows import UserRow
from engine.database.tables import import_rows, metadata
from engine.operate.commands import migrate
from engine.operate.commands.migrate import upgrade
from engine.settings.settings import PROJECT_ROOT
from engine.tests.fixtures import new_database

Alembic = Callable[..., None]
APP = argparse.Namespace(application="app", in_one_transaction=False, rename_from=None)


@pytest.fixture
def fresh_url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, f"migrations_{secrets.token_hex(4)}") as url:
        yield url


async def on(url: str, work: Callable[[Connection], object]) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(work)
    await engine.dispose()


def alembic(connection: Connection, run: Alembic, *arguments: str) -> None:
    config = alembic_config()
    config.attributes["connection"] = connection
    run(config, *arguments)


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


async def test_downgrade_to_base_and_upgrade_again(fresh_url: str) -> None:
    def work(connection: Connection) -> None:
        alembic(connection, command.upgrade, "heads")
        before = tables(connection)
        alembic(connection, command.downgrade, "base")
        assert tables(connection) == {VERSION_TABLE}
        alembic(connection, command.upgrade, "heads")
        assert tables(connection) == before
        alembic(connection, command.check)

    await on(fresh_url, work)


@pytest.mark.parametrize("neighbour", ["strangers", f"{TABLE_PREFIX}staging_"])
async def test_tables_of_others_are_not_changed(fresh_url: str, neighbour: str) -> None:
    theirs = {f"{neighbour}alembic_version", f"{neighbour}threads"}

    def work(connection: Connection) -> None:
        for name in theirs:
            connection.execute(text(f"CREATE TABLE {name} (id int)"))
        alembic(connection, command.upgrade, "heads")
        alembic(connection, command.check)
        alembic(connection, command.downgrade, "base")
        assert tables(connection) == theirs | {VERSION_TABLE}

    await on(fresh_url, work)


async def test_the_migrations_make_what_the_code_declares(fresh_url: str) -> None:
    """In both directions: what `alembic check` sees, and what is there and is not declared."""

    def work(connection: Connection) -> None:
        alembic(connection, command.upgrade, "heads")
        import_rows("app")
        options = {"compare_server_default": True, "version_table": VERSION_TABLE}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata()) == []

    await on(fresh_url, work)


async def test_a_declared_table_without_prefix_is_not_proposed_again(fresh_url: str) -> None:
    columns = Column("id", Integer, primary_key=True), Column("user_id", Text)
    own = Table("orders", Base.metadata, *columns)

    def work(connection: Connection) -> None:
        alembic(connection, command.upgrade, "heads")
        own.create(connection)
        alembic(connection, command.check)

    try:
        await on(fresh_url, work)
    finally:
        Base.metadata.remove(own)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what the migrations are made of, and its folder of own migrations, empty.

    The application's own tables and columns would be proposed again, so there must be none.
    """
    if migrations.own_files():
        pytest.skip("the application has migrations of its own")
    for place in ("migrations", "engine/migrations"):
        shutil.copytree(PROJECT_ROOT / place, tmp_path / place)
    for name in ("alembic.ini", "pyproject.toml"):
        shutil.copy(PROJECT_ROOT / name, tmp_path)
    monkeypatch.setattr(migrations, "PROJECT_ROOT", tmp_path)
    own = tmp_path / migrations.OWN_MIGRATIONS
    shutil.rmtree(own)
    own.mkdir()
    return own


@pytest.fixture
def migrated_url(fresh_url: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("DATABASE_URL", fresh_url)
    upgrade(fresh_url)
    return fresh_url


@contextmanager
def declared(name: str, *more: Column[str]) -> Iterator[Table]:
    """With a table in the code that no migration has made."""
    table = Table(
        name,
        Base.metadata,
        Column("user_id", ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True),
        Column("id", BigInteger, primary_key=True),
        *more,
    )
    try:
        yield table
    finally:
        Base.metadata.remove(table)


def migration_of(message: str) -> str:
    path = write_migration(message)
    assert path is not None
    return Path(path).read_text(encoding="utf-8")


def operations(source: str) -> list[str]:
    return re.findall(r"\bop\.(?!f\()(\w+)\(", source)


def test_the_applications_next_migration(migrated_url: str, folder: Path) -> None:
    rolls = f"{TABLE_PREFIX}rolls"
    with declared(rolls, Column("result", Text, index=True)):
        source = migration_of("dice rolls")
        assert operations(source) == ["create_table", "create_index", "drop_index", "drop_table"]
        upgrade(migrated_url)
        assert write_migration("nothing new") is None

    assert 'branch_labels: str | Sequence[str] | None = ("owner",)\n' in source
    assert 'depends_on: str | Sequence[str] | None = "core_0001"\n' in source
    # Nobody has to change it when the prefix changes.
    assert TABLE_PREFIX not in source
    assert 'f"{TABLE_PREFIX}rolls"' in source
    assert 'f"{TABLE_PREFIX}users.id"' in source
    command_line = [sys.executable, "-m", "ruff", "check", "--no-cache", str(folder)]
    done = subprocess.run(command_line, capture_output=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout

    [first] = folder.glob("*.py")
    with declared(rolls, Column("result", Text, index=True), Column("sides", Text)):
        source = migration_of("sides")
    [revision] = re.findall(r'^revision.*"(\w+)"', first.read_text("utf-8"), flags=re.M)
    assert f'down_revision: str | Sequence[str] | None = "{revision}"\n' in source
    assert operations(source) == ["add_column", "drop_column"]


def test_it_depends_on_what_it_refers_to(migrated_url: str, folder: Path) -> None:
    """So that an empty database gets the tables in the right order."""
    day = ForeignKey(f"{TABLE_PREFIX}token_days.user_id")
    with declared(f"{TABLE_PREFIX}rolls", Column("other_id", Text, day)):
        source = migration_of("dice rolls")
    assert 'depends_on: str | Sequence[str] | None = ("core_0001", "core_0002")\n' in source


def test_only_what_the_application_made_is_proposed_to_be_dropped(
    migrated_url: str, folder: Path
) -> None:
    with declared(f"{TABLE_PREFIX}rolls", Column("result", Text, index=True)):
        migration_of("dice rolls")
        upgrade(migrated_url)

    def others(connection: Connection) -> None:
        connection.execute(text(f"CREATE TABLE {TABLE_PREFIX}taken_out (id int)"))
        connection.execute(text(f"ALTER TABLE {TABLE_PREFIX}users ADD taken_out int"))
        connection.execute(text(f"CREATE INDEX administrators ON {TABLE_PREFIX}users (created_at)"))

    asyncio.run(on(migrated_url, others))
    source = migration_of("no rolls")
    assert "taken_out" not in source
    assert "administrators" not in source
    upgrades = source.partition("def downgrade")[0]
    assert operations(upgrades) == ["drop_index", "drop_table"]


def test_a_table_without_the_prefix_is_known(migrated_url: str, folder: Path) -> None:
    with declared("orders"):
        assert '"orders"' in migration_of("orders")
        upgrade(migrated_url)
        assert write_migration("again") is None
    assert "drop_table" in migration_of("no orders").partition("def downgrade")[0]


def test_the_migrations_come_before_the_next_one(fresh_url: str, folder: Path) -> None:
    with pytest.raises(migrations.MigrationRefused, match="run `python3 -m app migrate`"):
        migrate.refuse_unless_migrated(fresh_url)


def test_alembic_says_which_command_to_use(fresh_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", fresh_url)
    upgrade(fresh_url)
    for more in ([], ["--autogenerate"]):
        done = subprocess.run(  # noqa: S603
            [sys.executable, "-m", "alembic", "revision", "-m", "mine", *more],
            cwd=PROJECT_ROOT,
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode != 0
        assert 'python3 -m app migration "…"' in done.stdout + done.stderr
        assert "--head owner@head" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (f"op.f('{TABLE_PREFIX}a_pkey')", 'op.f(f"{TABLE_PREFIX}a_pkey")'),
        (f'["{TABLE_PREFIX}users.id"]', '[f"{TABLE_PREFIX}users.id"]'),
        (f"""sa.text("nextval('{TABLE_PREFIX}a_seq')")""", None),
        (f"'not {TABLE_PREFIX}a'", None),
        ("'it\\'s' + \"'\"", None),
    ],
)
def test_the_prefix_is_written_by_its_name(source: str, expected: str | None) -> None:
    assert prefix_by_name(source) == (expected or source)


def test_an_option_that_was_taken_out_is_left_alone(
    migrated_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def had_an_option(connection: Connection) -> None:
        connection.execute(text(f"CREATE TABLE {TABLE_PREFIX}gone (id int)"))
        connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('gone_0001')"))  # noqa: S608

    asyncio.run(on(migrated_url, had_an_option))
    assert migrate.run(APP) == 0
    said = capsys.readouterr().out
    assert "tables and data are left alone: gone_0001.\n" in said
    assert said.endswith("at the newest migration\n")
    command.check(alembic_config())
    command.current(alembic_config())
    asyncio.run(on(migrated_url, is_there(f"{TABLE_PREFIX}gone")))


def is_there(name: str) -> Callable[[Connection], None]:
    def work(connection: Connection) -> None:
        assert name in tables(connection)

    return work


def test_migrate_says_which_table_is_missing(
    migrated_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(
        on(
            migrated_url,
            lambda connection: connection.execute(text(f"DROP TABLE {TABLE_PREFIX}feedback")),
        )
    )
    assert migrate.run(APP) == 1
    assert f"lacks {TABLE_PREFIX}feedback." in capsys.readouterr().out


def test_a_database_of_a_newer_release_is_refused(migrated_url: str) -> None:
    newer = f"UPDATE {VERSION_TABLE} SET version_num = 'core_9999' WHERE version_num LIKE 'core%'"  # noqa: S608
    asyncio.run(on(migrated_url, lambda connection: connection.exec_driver_sql(newer)))
    with pytest.raises(migrations.MigrationRefused, match="core_9999, which is not"):
        upgrade(migrated_url)
