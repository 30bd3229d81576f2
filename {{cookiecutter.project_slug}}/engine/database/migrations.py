"""The state of the Alembic migrations, and errors that say how to fix them.

The core and each option have a branch of revisions in `engine/migrations`; those of the application
are in `migrations/versions`. A branch needs the core and not the other options, so that options can
be added and taken out in any order.
"""

import re
import warnings
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from engine.database.database import TABLE_PREFIX, VERSION_TABLE
from engine.database.tables import metadata
from engine.settings.settings import PROJECT_ROOT

# Relative to the project's folder. (alembic.ini has them too, for the command `alembic`.)
OWN_MIGRATIONS, OUR_MIGRATIONS = "migrations/versions", "engine/migrations"

# The label of the application's own branch.
OWNER = "owner"
CORE = "core"

# A revision of the one line of revisions that projects had before there were branches.
LINEAR = re.compile(r"\d{4}")

# The role and schema that would own new tables.
_TARGET = text(
    "SELECT current_user AS role, current_schema() AS schema,"
    " has_schema_privilege(current_schema(), 'CREATE') AS may_create,"
    " to_regclass(:table) IS NOT NULL AS is_taken"
)
_FIRST_TABLE = f"{TABLE_PREFIX}users"

_COLUMNS = text(
    "SELECT c.relname, a.attname FROM unnest(CAST(:names AS text[])) AS name"
    " JOIN pg_class c ON c.oid = to_regclass(quote_ident(name))"
    " JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
)

# SQLSTATEs with which PostgreSQL refuses a migration, and how to fix each.
NOT_ALLOWED, NO_SCHEMA, ALREADY_EXISTS = "42501", "3F000", "42P07"
LOCK_NOT_AVAILABLE = "55P03"
_FIXES = {
    NOT_ALLOWED: "Let the role of DATABASE_URL own the database, or as the owner run: "
    "GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}",
    NO_SCHEMA: "Create a schema that the search_path names, or correct the search_path.",
    ALREADY_EXISTS: "It was not created by these migrations. Rename or drop it, or use another "
    "database.",
    LOCK_NOT_AVAILABLE: "Other transactions keep it locked: find them in pg_stat_activity, end "
    "them, and repeat: python3 -m app migrate",
}


class MigrationRefused(Exception):
    """The migrations cannot be applied. The message gives the reason and the fix in one line."""


def alembic_config(*places: str) -> Config:
    """Alembic's configuration, for the migrations in these folders of the project, or in both."""
    config = Config(str(PROJECT_ROOT / "alembic.ini"), toml_file=PROJECT_ROOT / "pyproject.toml")
    # The paths in the file are relative to the folder where `alembic` is started.
    folders = [str(PROJECT_ROOT / place) for place in places or (OWN_MIGRATIONS, OUR_MIGRATIONS)]
    config.set_main_option("script_location", _escaped(PROJECT_ROOT / "migrations"))
    config.set_main_option("version_locations", _escaped("\n".join(folders)))
    return config


def _escaped(value: object) -> str:
    return str(value).replace("%", "%%")


def newest_revisions() -> list[str]:
    """The newest revision of each branch. Raises `MigrationRefused`."""
    return sorted(_history(PROJECT_ROOT).get_heads())


def migration_problem(connection: Connection, only_revisions: bool = False) -> str | None:
    """The reason why the database lacks a migration or a table, with the fix; None if it does not."""
    try:
        script = _history(PROJECT_ROOT)
    except MigrationRefused as refused:
        return str(refused)
    rows = version_rows(connection)
    if lacking := sorted(lacking_revisions(script, rows)):
        target = connection.execute(_TARGET, {"table": _FIRST_TABLE}).one()
        return _obstacle(target, rows) or (
            f"The database is not migrated (it lacks {', '.join(lacking)}): "
            "run `python3 -m app migrate`."
        )
    return None if only_revisions else _missing(connection)


def revisions_taken_out(connection: Connection) -> list[str]:
    """The newest revisions of options that this project had before."""
    return taken_out(_history(PROJECT_ROOT), version_rows(connection))


def version_rows(connection: Connection) -> tuple[str, ...]:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_heads()


def lacking_revisions(script: ScriptDirectory, rows: Iterable[str]) -> set[str]:
    """The newest revisions that a database with these rows in its version table lacks.

    A revision that is not known here, of a branch that is, belongs to a newer release: during a
    rolling update, this release goes on serving beside it.
    """
    known, unknown = split(script, rows)
    ahead = {label_of(row) for row in unknown if not LINEAR.fullmatch(row)}
    heads = set(script.get_heads()) - applied(script, known)
    return {head for head in heads if ahead.isdisjoint(labels(script, head))}


def split(script: ScriptDirectory, rows: Iterable[str]) -> tuple[list[str], list[str]]:
    """The rows of a version table that are revisions of this project, and the others."""
    every = {revision.revision for revision in script.walk_revisions()}
    rows = sorted(rows)
    return [row for row in rows if row in every], [row for row in rows if row not in every]


def taken_out(script: ScriptDirectory, rows: Iterable[str]) -> list[str]:
    """Those rows that are of branches that this project does not have any more."""
    present = {label for revision in script.walk_revisions() for label in revision.branch_labels}
    return [row for row in split(script, rows)[1] if label_of(row) not in present | {OWNER}]


def label_of(revision: str) -> str:
    """`core_0001` is of the branch `core`; revisions without a label are the application's own."""
    return revision.rpartition("_")[0] or OWNER


def labels(script: ScriptDirectory, revision: str) -> set[str]:
    return set(script.get_revision(revision).branch_labels) or {OWNER}


def applied(script: ScriptDirectory, revisions: Iterable[str]) -> set[str]:
    """These revisions, and all that they continue or depend on."""
    found: set[str] = set()
    todo = list(revisions)
    while todo:
        revision = script.get_revision(todo.pop())
        if revision.revision not in found:
            found.add(revision.revision)
            todo += below(revision)
    return found


def below(revision: Script) -> Iterator[str]:
    for names in (revision.down_revision, revision.dependencies):
        yield from (names,) if isinstance(names, str) else names or ()


def complete(script: ScriptDirectory) -> None:
    """Raise `MigrationRefused` if a revision continues, or depends on, one that is not there."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Alembic's, before its KeyError
            script.get_heads()
    except KeyError as error:
        raise MigrationRefused(_incomplete(str(error.args[0]))) from error


def _incomplete(missing: str) -> str:
    name = re.compile(rf"[\"']{re.escape(missing)}[\"']")
    files = [file for file in own_files() if name.search(file.read_text(encoding="utf-8"))]
    where = ", ".join(str(file.relative_to(PROJECT_ROOT)) for file in files) or "A migration"
    if LINEAR.fullmatch(missing):
        return (
            f"{where} continues {missing}, of the one line of migrations that this project had "
            "before. Give it a branch of its own: python3 -m app migration --adopt"
        )
    return (
        f"{where} needs the migration {missing}, which is not there. If its option was taken out, "
        "remove it from depends_on, and from upgrade() what it changes there."
    )


def own_folder() -> Path:
    return PROJECT_ROOT / OWN_MIGRATIONS


def own_files() -> list[Path]:
    """The application's own migrations."""
    return sorted(own_folder().rglob("*.py"))


@cache
def _history(_root: Path) -> ScriptDirectory:
    script = ScriptDirectory.from_config(alembic_config())
    complete(script)
    return script


def _missing(connection: Connection) -> str | None:
    """The reason why the tables are not those of the code, which the revisions cannot tell."""
    tables = metadata().tables
    there: dict[str, set[str]] = {}
    for table, column in connection.execute(_COLUMNS, {"names": list(tables)}):
        there.setdefault(table, set()).add(column)
    missing = [name for name in tables if name not in there]
    missing += [
        f"{name}.{column.name}"
        for name, table in tables.items()
        for column in table.columns
        if name in there and column.name not in there[name]
    ]
    if not missing:
        return None
    return (
        f"The database is at the newest migration and lacks {', '.join(sorted(missing))}. If it is "
        'new in your code, write its migration: python3 -m app migration "…", then: python3 -m app '
        "migrate. If it was lost, restore it from a backup."
    )


def _obstacle(target: Row[Any], rows: tuple[str, ...]) -> str | None:
    """The reason why the migrations cannot be applied, as far as it can be seen beforehand."""
    if target.schema is None:
        return _refused("no schema of the search_path exists", NO_SCHEMA, target)
    if not target.may_create:
        return _refused(f"permission denied for schema {target.schema}", NOT_ALLOWED, target)
    if not rows and target.is_taken:
        return _refused(f'relation "{_FIRST_TABLE}" already exists', ALREADY_EXISTS, target)
    return None


def migration_error(
    error: DBAPIError, connection: Connection, done: Iterable[str] = ()
) -> MigrationRefused:
    """PostgreSQL's error with the fix. `done` are the migrations before, which stay applied."""
    target = connection.execute(_TARGET, {"table": _FIRST_TABLE}).one()
    return MigrationRefused(_refused(str(error.orig), sqlstate(error), target, done))


def sqlstate(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""


def _refused(reason: str, state: str, target: Row[Any], done: Iterable[str] = ()) -> str:
    fix = _FIXES.get(state, "The log of PostgreSQL has the statement.")
    fix = fix.format(schema=target.schema, role=target.role)
    kept = f" {', '.join(done)} before it stay applied." if done else ""
    return f"The migrations cannot be applied: {' '.join(reason.split())}.{kept} {fix}"
