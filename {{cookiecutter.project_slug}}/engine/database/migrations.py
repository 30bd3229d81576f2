"""The state of the Alembic migrations in `migrations/`, and errors that say how to fix them."""

from functools import cache
from typing import Any

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from engine.database.database import TABLE_PREFIX, VERSION_TABLE
from engine.settings.settings import PROJECT_ROOT

# The role and schema that would own new tables.
_TARGET = text(
    "SELECT current_user AS role, current_schema() AS schema,"
    " has_schema_privilege(current_schema(), 'CREATE') AS may_create,"
    " to_regclass(:table) IS NOT NULL AS is_taken"
)
_FIRST_TABLE = f"{TABLE_PREFIX}users"

# SQLSTATEs with which PostgreSQL refuses a migration, and how to fix each.
NOT_ALLOWED, NO_SCHEMA, ALREADY_EXISTS = "42501", "3F000", "42P07"
_FIXES = {
    NOT_ALLOWED: "Let the role of DATABASE_URL own the database, or as the owner run: "
    "GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}",
    NO_SCHEMA: "Create a schema that the search_path names, or correct the search_path.",
    ALREADY_EXISTS: "It was not created by these migrations. Rename or drop it, or use another "
    "database.",
}


class MigrationRefused(Exception):
    """The migrations cannot be applied. The message gives the reason and the fix in one line."""


def alembic_config() -> Config:
    config = Config(str(PROJECT_ROOT / "alembic.ini"))
    # The path in the file is relative to the folder where `alembic` is started.
    config.set_main_option("script_location", str(PROJECT_ROOT / "migrations").replace("%", "%%"))
    return config


def newest_revision() -> str:
    """The id of the newest migration. Raises `MigrationRefused` unless there is exactly one."""
    heads = sorted(ScriptDirectory.from_config(alembic_config()).get_heads())
    if len(heads) != 1:
        raise MigrationRefused(
            f"There must be one newest migration; found {len(heads)}: {', '.join(heads)}. "
            "Merge them: alembic merge heads -m merge, then: python -m app migrate"
        )
    return heads[0]


def migration_problem(connection: Connection) -> str | None:
    """The reason why the database lacks a migration, with the fix; None if it lacks none."""
    try:
        newest = newest_revision()
    except MigrationRefused as refused:
        return str(refused)
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    revisions = context.get_current_heads()
    if not is_behind(revisions):
        return None
    target = connection.execute(_TARGET, {"table": _FIRST_TABLE}).one()
    return _obstacle(target, revisions) or (
        f"The database is not migrated (at {', '.join(revisions) or 'none'}, not {newest}): "
        "run `python -m app migrate`."
    )


def is_behind(revisions: tuple[str, ...]) -> bool:
    """True if the database lacks a migration of this release.

    An unknown revision belongs to a newer release: during a rolling update, this release goes on
    serving beside it.
    """
    return not revisions or not _older_revisions().isdisjoint(revisions)


@cache
def _older_revisions() -> frozenset[str]:
    script = ScriptDirectory.from_config(alembic_config())
    return frozenset(known.revision for known in script.walk_revisions()) - set(script.get_heads())


def _obstacle(target: Row[Any], revisions: tuple[str, ...]) -> str | None:
    """The reason why the migrations cannot be applied, as far as it can be seen beforehand."""
    if target.schema is None:
        return _refused("no schema of the search_path exists", NO_SCHEMA, target)
    if not target.may_create:
        return _refused(f"permission denied for schema {target.schema}", NOT_ALLOWED, target)
    if not revisions and target.is_taken:
        return _refused(f'relation "{_FIRST_TABLE}" already exists', ALREADY_EXISTS, target)
    return None


def migration_error(error: DBAPIError, connection: Connection) -> MigrationRefused:
    """PostgreSQL's error with the fix."""
    state = getattr(error.orig, "sqlstate", None) or ""
    target = connection.execute(_TARGET, {"table": _FIRST_TABLE}).one()
    return MigrationRefused(_refused(str(error.orig), state, target))


def _refused(reason: str, state: str, target: Row[Any]) -> str:
    fix = _FIXES.get(state, "Nothing was applied. The log of PostgreSQL has the statement.")
    fix = fix.format(schema=target.schema, role=target.role)
    return f"The migrations cannot be applied: {' '.join(reason.split())}. {fix}"
