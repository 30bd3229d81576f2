"""Every order of choosing options, on databases with rows, and databases of older projects.

`tests/test_histories.py` runs it in a project that has the migrations of all options. A test chooses
the folders of migrations that a project would have, and does everything in one transaction, which
it takes back.
"""

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from engine.database import migrations
from engine.database.autogenerate import give_own_branch
from engine.database.database import TABLE_PREFIX, VERSION_TABLE
from engine.database.migrations import alembic_config
from engine.settings.settings import PROJECT_ROOT
from engine.tests.fixtures import new_database
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

HERE = Path(__file__).parent
# The folders of migrations of each option, which the repository's test reads from the template.
OPTIONS: dict[str, list[str]] = json.loads((HERE / "options.json").read_text(encoding="utf-8"))

# The one line of revisions that projects had: what each belonged to, in this order. The first ten
# are those of projects of version 0.1.
LINE = {
    "0001": "core",
    "0002": "notes",
    "0003": "sessions",
    "0004": "password",
    "0005": "knowledge",
    "0006": "email",
    "0007": "oidc",
    "0008": "email",
    "0011": "sessions",
    "0012": "anonymous",
    "0013": "core",
    "0014": "sessions",
    "0015": "frames",
}
LAST_OF_VERSION_0_1 = "0012"
TOOLS = ("notes", "knowledge", "email")
SIGN_INS = {"token": (), "anonymous": ("anonymous",)}
SIGN_INS |= {name: ("sessions", name) for name in ("password", "oidc")}
# Columns of older projects that nothing uses any more.
LEFT_OVER = {(f"{TABLE_PREFIX}sessions", name) for name in ("frame_code", "frame_code_at")}

OWN = '''"""Rolls."""

import sqlalchemy as sa
from alembic import op

from engine.rows import TABLE_PREFIX

revision: str = "a1b2c3d4e5f6"
down_revision: str | None = {continues}
branch_labels: str | None = {label}
depends_on: str | tuple[str, ...] | None = {needs}

tables = (f"{{TABLE_PREFIX}}rolls",)


def upgrade() -> None:
    op.create_table(f"{{TABLE_PREFIX}}rolls", sa.Column("id", sa.BigInteger(), primary_key=True))
    {more}


def downgrade() -> None:
    op.drop_table(f"{{TABLE_PREFIX}}rolls")
'''
PIN = 'op.add_column(f"{TABLE_PREFIX}notes", sa.Column("pinned", sa.Boolean()))'

Work = Callable[[Connection], Any]


@pytest.fixture(scope="module")
def url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, "histories") as url:
        yield url


@pytest.fixture(scope="module")
def on(url: str) -> Callable[[Work], Any]:
    def run(work: Work) -> Any:
        return asyncio.run(_in_a_transaction(url, work))

    return run


@pytest.fixture(scope="module")
def owns(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("own")


async def _in_a_transaction(url: str, work: Work) -> Any:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection, connection.begin() as transaction:
            result: Awaitable[Any] = connection.run_sync(work)
            try:
                return await result
            finally:
                await transaction.rollback()
    finally:
        await engine.dispose()


def config_of(folders: set[str], own: Path | None = None) -> Config:
    places = [str(PROJECT_ROOT / "engine/migrations" / name) for name in sorted({*folders, "core"})]
    config: Config = alembic_config()
    config.set_main_option("version_locations", "\n".join([*([str(own)] if own else []), *places]))
    return config


def upgrade(connection: Connection, folders: set[str], own: Path | None = None) -> None:
    config = config_of(folders, own)
    config.attributes["connection"] = connection
    command.upgrade(config, "heads")
    script = ScriptDirectory.from_config(config)
    assert migrations.lacking_revisions(script, version_rows(connection)) == set()


def tables_of(folders: set[str], own: Path | None = None) -> list[str]:
    """The tables that these make, each after those that it refers to."""
    script = ScriptDirectory.from_config(config_of(folders, own))
    revisions = reversed(list(script.walk_revisions()))
    return [table for one in revisions for table in getattr(one.module, "tables", ())]


def version_rows(connection: Connection) -> set[str]:
    return set(connection.scalars(text(f"SELECT version_num FROM {VERSION_TABLE}")))


def schema(connection: Connection, tables: list[str]) -> set[tuple[Any, ...]]:
    """Columns, constraints and indexes of these tables."""
    asked = (
        "SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,"
        " a.attidentity::text, pg_get_expr(d.adbin, d.adrelid) FROM pg_class c"
        " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
        " LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
        " WHERE c.relname = ANY(:tables)",
        "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid::regclass::text = ANY(:tables)",
        "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE tablename = ANY(:tables)",
        "SELECT stxrelid::regclass::text, stxname, pg_get_statisticsobjdef(oid)"
        " FROM pg_statistic_ext WHERE stxrelid::regclass::text = ANY(:tables)",
    )
    rows = (connection.execute(text(sql), {"tables": tables}) for sql in asked)
    return {tuple(row) for found in rows for row in found}


@cache
def fresh(
    on: Callable[[Work], Any], folders: frozenset[str], own: Path | None = None
) -> set[tuple[Any, ...]]:
    """The schema that these migrations make in an empty database."""

    def work(connection: Connection) -> set[tuple[Any, ...]]:
        upgrade(connection, set(folders), own)
        return schema(connection, tables_of(set(folders), own))

    made: set[tuple[Any, ...]] = on(work)
    return made


def fill(connection: Connection, tables: list[str]) -> None:
    """A row in each table, all of one user."""
    columns = text(
        "SELECT column_name, data_type FROM information_schema.columns"
        " WHERE table_name = :table ORDER BY ordinal_position"
    )
    for table in tables:
        values = {}
        for name, kind in connection.execute(columns, {"table": table}):
            values[name] = value_for(table, name, kind)
        into = f"INSERT INTO {table} ({', '.join(values)}) OVERRIDING SYSTEM VALUE"
        connection.execute(text(f"{into} VALUES ({', '.join(values.values())})"))


def value_for(table: str, column: str, kind: str) -> str:
    if column == "user_id" or (table.endswith("users") and column == "id"):
        return "'ada'"
    quoted = {"jsonb": "'{}'", "tsvector": "'word'", "boolean": "true"}
    return quoted.get(kind, "now()" if "timestamp" in kind or kind == "date" else "'1'")


def content(connection: Connection, tables: list[str]) -> dict[str, Any]:
    return {
        table: connection.scalar(text(f"SELECT json_agg(t) FROM (SELECT * FROM {table}) t"))
        for table in tables
    }


def own_migration(folder: Path, *, continues: str | None = None, more: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    begins = continues is None
    values = {
        "continues": repr(continues),
        "label": repr("owner") if begins else None,
        "needs": repr("core_0001") if begins else None,
        "more": more,
    }
    (folder / "own.py").write_text(OWN.format(**values), encoding="utf-8")
    return folder


def test_a_branch_has_its_label_and_depends_on_the_core_alone() -> None:
    """Or on what several options share, which depends on the core alone."""
    script = ScriptDirectory.from_config(config_of({*itertools.chain(*OPTIONS.values())}))
    for revision in script.walk_revisions():
        folder = Path(revision.path).parent.name
        assert revision.branch_labels == {folder}
        assert revision.revision.rpartition("_")[0] == folder
        needed = {name.rpartition("_")[0] for name in revision.dependencies or ()}
        needed = {str(revision.dependencies).rpartition("_")[0]} if revision.dependencies else set()
        first = revision.down_revision is None and folder != "core"
        assert needed <= {"core", "sessions"}
        assert bool(needed) == first


def pairs() -> list[tuple[str, str]]:
    """Options with different migrations; one that has none stands for all of those."""
    different = {tuple(folders): option for option, folders in reversed(OPTIONS.items())}
    return list(itertools.permutations(different.values(), 2))


def test_the_pairs_are_of_every_option_with_migrations() -> None:
    paired = {tuple(OPTIONS[option]) for pair in pairs() for option in pair}

    assert paired == {tuple(folders) for folders in OPTIONS.values()}
    assert () in paired


@pytest.mark.parametrize(("first", "then"), pairs())
def test_an_option_is_added_to_another_and_replaces_it(
    on: Callable[[Work], Any], owns: Path, first: str, then: str
) -> None:
    a, b, own = set(OPTIONS[first]), set(OPTIONS[then]), own_migration(owns)

    def work(connection: Connection) -> None:
        upgrade(connection, a)
        fill(connection, tables_of(a))
        before = content(connection, tables_of(a))
        upgrade(connection, a, own)
        added = [table for table in tables_of(a | b, own) if table not in before]
        for folders in (a | b, b, a | b):  # added; instead of the first; the first comes back
            upgrade(connection, folders, own)
            assert content(connection, tables_of(a)) == before
            assert schema(connection, tables_of(a | b, own)) == on_a_fresh
            rest = [table for table in added if table not in before]
            if folders == a | b and not any(content(connection, rest).values()):
                fill(connection, rest)
        script = ScriptDirectory.from_config(config_of(b, own))
        left = migrations.taken_out(script, version_rows(connection))
        assert set(map(migrations.label_of, left)) <= a - b

    on_a_fresh = fresh(on, frozenset(a | b), own)
    on(work)


def kept(before: dict[str, Any], now: dict[str, Any]) -> bool:
    """True if each row is there with its values, and perhaps with columns that it gained."""
    return all(
        len(rows) == len(now[table])
        and all(old.items() <= new.items() for old, new in zip(rows, now[table], strict=True))
        for table, rows in before.items()
    )


def linear_projects() -> Iterator[Any]:
    for sign_in, version in itertools.product(SIGN_INS, ("0.1", "0.2", "0.2 launcher")):
        if version != "0.2 launcher" or "sessions" in SIGN_INS[sign_in]:
            yield pytest.param(sign_in, version, id=f"{sign_in}-{version}")


def line_of(folders: set[str], version: str) -> list[str]:
    last = LAST_OF_VERSION_0_1 if version == "0.1" else max(LINE)
    return [name for name, of in LINE.items() if of in folders and name <= last]


def make_linear(connection: Connection, line: list[str], at: str) -> None:
    for name in line:
        script = (HERE / "linear" / f"{name}.sql").read_text(encoding="utf-8")
        for statement in script.split(";\n"):
            if statement.strip():
                connection.exec_driver_sql(statement)
    connection.execute(text(f"CREATE TABLE {VERSION_TABLE} (version_num varchar(32) PRIMARY KEY)"))
    connection.execute(text(f"INSERT INTO {VERSION_TABLE} VALUES ('{at}')"))


@pytest.mark.parametrize(("sign_in", "version"), list(linear_projects()))
def test_databases_with_one_line_of_revisions_are_carried_over(
    on: Callable[[Work], Any], sign_in: str, version: str
) -> None:
    """Each combination, with rows; and each tool that it lacks is added meanwhile, or not."""
    for number in range(len(TOOLS) + 1):
        for tools in itertools.combinations(TOOLS, number):
            launcher = {"frames"} if "launcher" in version else set()
            folders = {"core", *tools, *SIGN_INS[sign_in], *launcher}
            carry_over(on, folders, line_of(folders, version), set())
            if number == 1:
                carry_over(on, folders, line_of(folders, version), set(TOOLS) - set(tools))


def carry_over(
    on: Callable[[Work], Any], folders: set[str], line: list[str], added: set[str]
) -> None:
    def work(connection: Connection) -> None:
        make_linear(connection, line, line[-1])
        made = [t for t in tables_of(folders) if has_table(connection, t)]
        fill(connection, made)
        before = content(connection, made)
        upgrade(connection, folders | added)
        assert kept(before, content(connection, made))
        now = schema(connection, tables_of(folders | added))
        assert {row for row in now if row[:2] not in LEFT_OVER} == on_a_fresh
        assert not any(migrations.LINEAR.fullmatch(row) for row in version_rows(connection))

    on_a_fresh = fresh(on, frozenset(folders | added))
    on(work)


def has_table(connection: Connection, name: str) -> bool:
    return connection.scalar(text(f"SELECT to_regclass('{name}')")) is not None


@pytest.mark.parametrize("version", ["0.1", "0.2"])
def test_an_owners_migration_on_that_line_gets_a_branch(
    on: Callable[[Work], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    folders = {"core", "notes", "anonymous"}
    line = line_of(folders, version)
    own = own_migration(tmp_path / migrations.OWN_MIGRATIONS, continues=line[-1], more=PIN)
    monkeypatch.setattr(migrations, "PROJECT_ROOT", tmp_path)
    (tmp_path / "engine").symlink_to(PROJECT_ROOT / "engine")
    (tmp_path / "alembic.ini").symlink_to(PROJECT_ROOT / "alembic.ini")

    assert give_own_branch() == ["own.py"]

    changed = (own / "own.py").read_text(encoding="utf-8")
    assert "down_revision: str | None = None\n" in changed
    assert 'branch_labels: str | None = "owner"\n' in changed
    assert 'depends_on: str | tuple[str, ...] | None = ("core_0001", "notes_0001")\n' in changed
    assert give_own_branch() == []
    monkeypatch.undo()

    def work(connection: Connection) -> None:
        make_linear(connection, line, "a1b2c3d4e5f6")
        connection.exec_driver_sql(f"CREATE TABLE {TABLE_PREFIX}rolls (id bigint PRIMARY KEY)")
        connection.exec_driver_sql(f"ALTER TABLE {TABLE_PREFIX}notes ADD pinned boolean")
        made = [t for t in tables_of(folders, own) if has_table(connection, t)]
        fill(connection, made)
        before = content(connection, made)
        upgrade(connection, folders | {"knowledge"}, own)
        assert kept(before, content(connection, made))
        assert has_table(connection, f"{TABLE_PREFIX}passages")

    on(work)
    on(lambda connection: upgrade(connection, folders, own))  # a fresh database
