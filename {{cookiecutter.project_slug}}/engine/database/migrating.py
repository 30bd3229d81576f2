"""Runs a command of Alembic on a database that may be in use."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from time import sleep
from typing import Any

from alembic import context
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from engine.database import autogenerate, migrations, new_tables, renaming, row_security
from engine.database.database import EVERYBODY_SETTING, TABLE_PREFIX, VERSION_TABLE
from engine.database.server_check import SERVER_QUERY, server_problem
from engine.database.tables import import_rows, metadata
from engine.settings.settings import Settings

logger = logging.getLogger(__name__)

# One process at a time migrates the tables of a prefix. Another one tries again and again and does
# not wait inside PostgreSQL: its snapshot would keep `CREATE INDEX CONCURRENTLY` from ending.
ALONE = func.hashtextextended(VERSION_TABLE, 0)
ALONE_SECONDS = 900.0
ALONE_PAUSE_SECONDS = 0.5

# A statement that waits for a lock makes all others wait behind it. So it gives up after this time,
# and its migration is tried again.
LOCK_TIMEOUT = "1s"
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0) + 20 * (3.0,)


assert new_tables  # changes how Alembic creates tables


def configure(application: str, **options: Any) -> None:
    import_rows(application)
    context.configure(
        target_metadata=metadata(),
        version_table=VERSION_TABLE,
        compare_server_default=True,
        # Locks are held no longer than a migration takes, and one may use `autocommit_block`.
        transaction_per_migration=True,
        **options,
    )


def run(connection: Connection, application: str) -> None:
    """Run the command for which Alembic has loaded its environment.

    Within a transaction of the caller, all migrations are part of that. Raises `CommandError` if the
    server, the history or a migration is not usable.
    """
    in_one_transaction = connection.in_transaction()
    if problem := server_problem(connection.execute(text(SERVER_QUERY)).mappings().one()):
        raise CommandError(problem)
    _complete(context.script)
    if not in_one_transaction:
        connection.commit()
    configure(application, connection=connection, **autogenerate.options())
    _ignore_other_branches(context.get_context())
    try:
        if _changes_schema():
            # With a savepoint, the caller's transaction can be queried after a migration has failed.
            with connection.begin_nested() if in_one_transaction else nullcontext():
                _Change(connection, in_one_transaction).run()
        else:
            context.run_migrations()
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        raise CommandError(str(migrations.migration_error(error, connection))) from error


class _Change:
    """An upgrade or downgrade, alone, with short waits for locks."""

    def __init__(self, connection: Connection, in_one_transaction: bool) -> None:
        self._connection = connection
        self._in_one_transaction = in_one_transaction
        self._done: list[str] = []

    def run(self) -> None:
        context.get_context().on_version_apply_callbacks += (self._note,)
        self._wait_until_alone()
        self._set("lock_timeout", LOCK_TIMEOUT)
        self._set(EVERYBODY_SETTING, "on")  # migrations may change the rows of all owners
        self._commit()
        for pause in _pauses():
            try:
                return self._try()
            except DBAPIError as error:
                self._roll_back(error, last=pause is None)
            logger.warning("a migration waits for locks of other transactions, and is tried again")
            sleep(pause or 0)

    def _try(self) -> None:
        """Apply what is left: migrations of an earlier try that were committed are not repeated."""
        if old := context.config.attributes.get("rename_from"):
            _rename(self._connection, old)
        _refuse_newer(context.script)
        adopt(self._connection, context.script)
        self._commit()
        context.run_migrations()
        apply = row_security.enable if Settings().row_level_security else row_security.disable
        apply(self._connection)
        self._commit()

    def _roll_back(self, error: DBAPIError, *, last: bool) -> None:
        """Raise `CommandError` unless the migration can be tried again."""
        if error.connection_invalidated or self._in_one_transaction:
            raise error
        self._connection.rollback()
        if last or migrations.sqlstate(error) != migrations.LOCK_NOT_AVAILABLE:
            refused = migrations.migration_error(error, self._connection, self._done)
            raise CommandError(str(refused)) from error

    def _wait_until_alone(self) -> None:
        lock = (
            func.pg_try_advisory_xact_lock
            if self._in_one_transaction
            else func.pg_try_advisory_lock
        )
        deadline = time.monotonic() + ALONE_SECONDS
        while not self._connection.scalar(select(lock(ALONE))):
            self._commit()
            if time.monotonic() > deadline:
                raise CommandError(
                    "Another process has been migrating this database for a quarter of an hour. "
                    "Wait for it, or end it: its advisory lock is in pg_locks."
                )
            sleep(ALONE_PAUSE_SECONDS)

    def _set(self, name: str, value: str) -> None:
        """For this transaction if it is the only one, otherwise for this connection."""
        self._connection.execute(select(func.set_config(name, value, self._in_one_transaction)))

    def _commit(self) -> None:
        if not self._in_one_transaction:
            self._connection.commit()

    def _note(self, *, step: Any, **_: Any) -> None:
        self._done.append(step.up_revision_id)


def _rename(connection: Connection, old: str) -> None:
    try:
        renaming.rename(connection, old, TABLE_PREFIX)
    except migrations.MigrationRefused as refused:
        raise CommandError(str(refused)) from refused


def _refuse_newer(script: ScriptDirectory) -> None:
    _, unknown = migrations.split(script, context.get_context().get_current_heads())
    if unknown:
        raise CommandError(
            f"The database is at {', '.join(unknown)}, which is not among these migrations: a newer "
            "release has migrated it, or a file of migrations/versions is missing. Use that release."
        )


def adopt(connection: Connection, script: ScriptDirectory) -> None:
    """Write down branches whose tables are there already, as far as they are.

    They are so in a database of the one line of revisions that projects had before there were
    branches, and where an option comes back on which a migration of the application depended.
    """
    rows = context.get_context().get_current_heads()
    linear = [row for row in _rows(connection) if migrations.LINEAR.fullmatch(row)]
    if not rows and not linear:
        return
    before = migrations.applied(script, rows)
    now = before | migrations.applied(script, _found(connection, script, before))
    heads = now - {name for one in now for name in migrations.below(script.get_revision(one))}
    for row in {*rows, *linear} - heads:
        connection.execute(_DELETE, {"row": row})
    for head in heads - set(rows):
        connection.execute(_INSERT, {"row": head})


_DELETE = text(f"DELETE FROM {VERSION_TABLE} WHERE version_num = :row")  # noqa: S608
_INSERT = text(f"INSERT INTO {VERSION_TABLE} (version_num) VALUES (:row)")  # noqa: S608


def _rows(connection: Connection) -> list[str]:
    if connection.scalar(select(func.to_regclass(VERSION_TABLE))) is None:
        return []
    return list(connection.scalars(text(f"SELECT version_num FROM {VERSION_TABLE}")))  # noqa: S608


def _found(connection: Connection, script: ScriptDirectory, before: set[str]) -> Iterator[str]:
    for revision in script.walk_revisions():
        tables = getattr(revision.module, "tables", ())
        if revision.revision not in before and tables:
            found = [connection.scalar(select(func.to_regclass(name))) for name in tables]
            if None not in found:
                yield revision.revision


def _ignore_other_branches(migration_context: MigrationContext) -> None:
    """Hide from Alembic the rows of options that were taken out, and of the line without branches.

    It would refuse every command. They stay in the version table, in case the option comes back.
    """
    every: Callable[[], tuple[str, ...]] = migration_context.get_current_heads

    def known() -> tuple[str, ...]:
        rows = every()
        others = set(migrations.taken_out(context.script, rows))
        others |= set(filter(migrations.LINEAR.fullmatch, rows))
        return tuple(row for row in rows if row not in others)

    vars(migration_context)["get_current_heads"] = known


def _complete(script: ScriptDirectory) -> None:
    try:
        migrations.complete(script)
    except migrations.MigrationRefused as refused:
        raise CommandError(str(refused)) from refused


def _pauses() -> tuple[float | None, ...]:
    """After each try, None after the last. A relative command, such as `downgrade -1`, has one."""
    is_relative = any(sign in str(context.get_revision_argument()) for sign in "+-")
    return (None,) if is_relative else (*PAUSES, None)


def _changes_schema() -> bool:
    """True for upgrade and downgrade; false for commands that only read."""
    try:
        context.get_revision_argument()
    except KeyError:
        return False
    return True
