"""Row-level security: policies in PostgreSQL, besides the owner condition of every statement.

The policy of each table limits a transaction to the rows of one owner, set by
`engine.database.database.set_owner`, or to all rows for maintenance.
"""

from collections.abc import Iterator

from sqlalchemy import Connection, Table, func, select, text

from engine.database.database import EVERYBODY_SETTING, OWNER_SETTING, TABLE_PREFIX
from engine.database.tables import owned_tables, owner_column

POLICY = f"{TABLE_PREFIX}owner"


def enable(connection: Connection) -> None:
    """Create the policy on every existing table that has none."""
    protected = _tables_with_policy(connection)
    for table in _existing(connection):
        if table.name not in protected:
            for statement in policy_statements(table):
                connection.execute(text(statement))


def disable(connection: Connection) -> None:
    for name in sorted(_tables_with_policy(connection)):
        connection.execute(text(f"DROP POLICY {POLICY} ON {name}"))
        # Enabled security without a policy would hide all rows.
        connection.execute(
            text(f"ALTER TABLE {name} NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
        )


def policy_statements(table: Table) -> Iterator[str]:
    """FORCE, because the application owns its tables, and table owners are exempt otherwise."""
    owner = owner_column(table).name
    yield (
        f"CREATE POLICY {POLICY} ON {table.name}"
        f" USING ({owner} = current_setting('{OWNER_SETTING}', true)"
        f" OR current_setting('{EVERYBODY_SETTING}', true) = 'on')"
    )
    yield f"ALTER TABLE {table.name} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"


def is_enabled(connection: Connection) -> bool:
    """True if the policy of every table applies to the role of this connection.

    False for superusers and other roles that bypass row-level security.
    """
    active = (func.row_security_active(table.name) for table in owned_tables())
    return all(connection.execute(select(*active)).one())


def _tables_with_policy(connection: Connection) -> set[str]:
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
