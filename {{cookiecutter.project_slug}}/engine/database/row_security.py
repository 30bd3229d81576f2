"""Row-level security: PostgreSQL's own wall behind the conditions that every statement has.

A policy on every table shows a transaction the rows of the owner in whose name it runs
(`engine.database.database.in_the_name_of`), or everybody's for maintenance.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, Table, func, select, text

from engine.database.database import EVERYBODY_SETTING, OWNER_SETTING, TABLE_PREFIX
from engine.database.tables import owned_tables, owner_column

POLICY = f"{TABLE_PREFIX}owner"


def build_wall(connection: Connection) -> None:
    """Put the policy on every table that is there and has none."""
    guarded = _guarded(connection)
    for table in _existing(connection):
        if table.name not in guarded:
            for statement in wall(table):
                connection.execute(text(statement))


def tear_down_wall(connection: Connection) -> None:
    for name in sorted(_guarded(connection)):
        connection.execute(text(f"DROP POLICY {POLICY} ON {name}"))
        # Without a policy, nobody would see anything.
        connection.execute(
            text(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
        )


def wall(table: Table) -> Iterator[str]:
    """FORCE, because the application owns its tables, and owners are exempt otherwise."""
    owner = owner_column(table).name
    yield (
        f"CREATE POLICY {POLICY} ON {table.name}"
        f" USING ({owner} = current_setting('{OWNER_SETTING}', true)"
        f" OR current_setting('{EVERYBODY_SETTING}', true) = 'on')"
    )
    yield f"ALTER TABLE {table.name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"


def is_walled_in(connection: Connection) -> bool:
    """True when every table shows the role of this connection one owner's rows.

    It never is for superusers and other roles that pass all policies.
    """
    active = (func.row_security_active(table.name) for table in owned_tables())
    return all(connection.execute(select(*active)).one())


def _guarded(connection: Connection) -> set[str]:
    statement = text(
        "SELECT tablename FROM pg_policies"
        " WHERE policyname = :policy AND schemaname = current_schema()"
    )
    ours = {table.name for table in owned_tables()}
    return set(connection.scalars(statement, {"policy": POLICY})) & ours


def _existing(connection: Connection) -> Iterator[Table]:
    for table in owned_tables():
        if connection.scalar(select(func.to_regclass(table.name))) is not None:
            yield table
