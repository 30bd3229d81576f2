"""The schema's history, as Alembic keeps it in `migrations/`."""

from functools import cache
from typing import Any

from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from engine.database.database import TABLE_PREFIX, VERSION_TABLE
from engine.settings.settings import PROJECT_ROOT

# What decides whether tables can be made.
_PLACE = text(
    "SELECT current_user AS role, current_schema() AS schema,"
    " has_schema_privilege(current_schema(), 'CREATE') AS may_create,"
    " to_regclass(:table) IS NOT NULL AS is_taken"
)
_FIRST_TABLE = f"{TABLE_PREFIX}users"

# SQLSTATEs with which PostgreSQL refuses a migration, and what mends it.
NOT_ALLOWED, NO_SCHEMA, IS_THERE = "42501", "3F000", "42P07"
_MENDS = {
    NOT_ALLOWED: "Let the role of DATABASE_URL own the database, or as the owner run: "
    "GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}",
    NO_SCHEMA: "Create a schema of the search_path, or correct the search_path.",
    IS_THERE: "It is not of these migrations. Rename or drop it, or use another database.",
}


class MigrationRefused(Exception):
    """The migrations cannot be applied; the message says why and what mends it, in one line."""


def alembic_config() -> Config:
    config = Config(str(PROJECT_ROOT / "alembic.ini"))
    # (In the file it is relative to the folder where `alembic` is started.)
    config.set_main_option("script_location", str(PROJECT_ROOT / "migrations").replace("%", "%%"))
    return config


def newest_revision() -> str:
    """Raises `MigrationRefused` when there is not exactly one."""
    heads = sorted(ScriptDirectory.from_config(alembic_config()).get_heads())
    if len(heads) != 1:
        raise MigrationRefused(
            f"There must be one newest migration; here are {len(heads)}: {', '.join(heads)}. "
            "Join them: alembic merge heads -m merge, then: python -m app migrate"
        )
    return heads[0]


def migration_problem(connection: Connection) -> str | None:
    """Why the database lacks a migration of ours, with the mend; None when it lacks none."""
    try:
        newest = newest_revision()
    except MigrationRefused as refused:
        return str(refused)
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    revisions = context.get_current_heads()
    if not is_behind(revisions):
        return None
    place = connection.execute(_PLACE, {"table": _FIRST_TABLE}).one()
    return _obstacle(place, revisions) or (
        f"The database is not migrated (at {', '.join(revisions) or 'none'}, not {newest}): "
        "run `python -m app migrate`."
    )


def is_behind(revisions: tuple[str, ...]) -> bool:
    """True for a database that lacks a migration of ours.

    One that we do not know is of a newer release, beside which this one goes on serving until it
    is replaced.
    """
    return not revisions or not _older_revisions().isdisjoint(revisions)


@cache
def _older_revisions() -> frozenset[str]:
    script = ScriptDirectory.from_config(alembic_config())
    return frozenset(known.revision for known in script.walk_revisions()) - set(script.get_heads())


def _obstacle(place: Row[Any], at: tuple[str, ...]) -> str | None:
    """What will keep the migrations from being applied."""
    if place.schema is None:
        return _refused("no schema of the search_path is there", NO_SCHEMA, place)
    if not place.may_create:
        return _refused(f"permission denied for schema {place.schema}", NOT_ALLOWED, place)
    if not at and place.is_taken:
        return _refused(f'relation "{_FIRST_TABLE}" already exists', IS_THERE, place)
    return None


def refusal(error: DBAPIError, connection: Connection) -> MigrationRefused:
    """PostgreSQL's words, which name the object, and the mend."""
    state = getattr(error.orig, "sqlstate", None) or ""
    place = connection.execute(_PLACE, {"table": _FIRST_TABLE}).one()
    return MigrationRefused(_refused(str(error.orig), state, place))


def _refused(said: str, state: str, place: Row[Any]) -> str:
    mend = _MENDS.get(state, "Nothing was applied. The log of PostgreSQL has the statement.")
    mend = mend.format(schema=place.schema, role=place.role)
    return f"The migrations cannot be applied: {' '.join(said.split())}. {mend}"
