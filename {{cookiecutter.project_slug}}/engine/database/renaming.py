"""Gives the tables another prefix, with all that is named after them and without copying a row."""

from sqlalchemy import Connection, TextClause, func, select, text

from engine.database.migrations import MigrationRefused


def _relations(*kinds: str) -> TextClause:
    return text(
        "SELECT relname, '' FROM pg_class WHERE relkind::text = ANY(:kinds)"
        " AND relnamespace = quote_ident(current_schema())::regnamespace"
    ).bindparams(kinds=list(kinds))


# Names, and the table that a constraint is of, by the statement that renames them. Constraints come
# first, because that renames their indexes too.
_NAMED = {
    "ALTER TABLE {on} RENAME CONSTRAINT {name} TO {new}": text(
        "SELECT conname, conrelid::regclass::text FROM pg_constraint"
        " WHERE conrelid <> 0 AND connamespace = quote_ident(current_schema())::regnamespace"
    ),
    "ALTER STATISTICS {name} RENAME TO {new}": text(
        "SELECT stxname, '' FROM pg_statistic_ext"
        " WHERE stxnamespace = quote_ident(current_schema())::regnamespace"
    ),
    "ALTER INDEX {name} RENAME TO {new}": _relations("i", "I"),
    "ALTER SEQUENCE {name} RENAME TO {new}": _relations("S"),
    "ALTER TABLE {name} RENAME TO {new}": _relations("r", "p"),
}
_TABLES_WITH_POLICY = text(
    "SELECT tablename FROM pg_policies WHERE schemaname = current_schema() AND policyname = :name"
)
_TABLES = text("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
_VERSIONS = "alembic_version"


def rename(connection: Connection, old: str, new: str) -> None:
    """Rename what begins with the prefix `old`; nothing if that is done. Raises `MigrationRefused`.

    Policies are dropped, because they name settings with the prefix: `row_security` creates them.
    """
    has_old, has_new = (_exists(connection, prefix + _VERSIONS) for prefix in (old, new))
    if has_new and not has_old:
        return
    if not has_old:
        raise MigrationRefused(f"There are no tables with the prefix {old} to rename.")
    if has_new:
        raise MigrationRefused(
            f"There are tables with the prefix {new} beside those with {old}. Drop those with {new} "
            "if they are empty, or go on without --rename-from."
        )
    _drop_policies(connection, old)
    quoted = connection.dialect.identifier_preparer.quote
    others = _longer_prefixes(connection, old)
    for statement, named in _NAMED.items():
        for name, on in connection.execute(named).all():
            if name.startswith(old) and not name.startswith(others):
                renamed = quoted(new + name.removeprefix(old))
                connection.execute(text(statement.format(on=on, name=quoted(name), new=renamed)))


def _exists(connection: Connection, table: str) -> bool:
    return connection.scalar(select(func.to_regclass(table))) is not None


def _drop_policies(connection: Connection, prefix: str) -> None:
    policy = f"{prefix}owner"
    for table in connection.scalars(_TABLES_WITH_POLICY, {"name": policy}).all():
        connection.execute(text(f"DROP POLICY {policy} ON {table}"))
        off = "NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY"
        connection.execute(text(f"ALTER TABLE {table} {off}"))


def _longer_prefixes(connection: Connection, prefix: str) -> tuple[str, ...]:
    """Those of other projects in the same database: `chat_two_`, where the prefix is `chat_`."""
    names = connection.scalars(_TABLES).all()
    found = {name.removesuffix(_VERSIONS) for name in names if name.endswith(f"_{_VERSIONS}")}
    return tuple(other for other in found if other.startswith(prefix) and other != prefix)
