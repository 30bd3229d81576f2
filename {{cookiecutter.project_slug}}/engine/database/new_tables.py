"""New tables in a Citus cluster whose tables are distributed already.

Citus refuses a foreign key from a table of the coordinator alone to a distributed one. So such a
table is created, then distributed, and gets its foreign keys last.
"""

from typing import Any

from alembic.operations import Operations
from alembic.operations.ops import CreateTableOp
from sqlalchemy import Connection, Table, func, select, text

from engine.database.database import TABLE_PREFIX

USERS = f"{TABLE_PREFIX}users"
_IS_DISTRIBUTED = text(
    "SELECT EXISTS (SELECT FROM pg_dist_partition WHERE logicalrelid = to_regclass(:users))"
)
# The casts, because its parameters are not texts: Citus finds no function otherwise.
_DISTRIBUTE = text(
    "SELECT create_distributed_table(CAST(CAST(:name AS text) AS regclass), 'user_id', "
    "colocate_with => CAST(:users AS text))"
)


@Operations.implementation_for(CreateTableOp, replace=True)
def create_table(operations: Operations, operation: CreateTableOp) -> Table:
    """Alembic's `create_table`, for the migrations of the application as well."""
    migration_context = operations.migration_context
    table = operation.to_table(migration_context)
    connection = None if migration_context.as_sql else migration_context.connection
    is_distributed = "user_id" in table.columns and _has_distributed(connection)
    keys = list(table.foreign_key_constraints) if is_distributed else []
    table.constraints.difference_update(keys)
    create: Any = operations.impl.create_table
    create(table, if_not_exists=bool(operation.if_not_exists))
    if is_distributed:
        operations.execute(_DISTRIBUTE.bindparams(name=table.name, users=USERS))
    for key in keys:
        operations.impl.add_constraint(key)
    return table


def _has_distributed(connection: Connection | None) -> bool:
    if (
        connection is None
        or connection.scalar(select(func.to_regclass("pg_dist_partition"))) is None
    ):
        return False
    return bool(connection.scalar(_IS_DISTRIBUTED, {"users": USERS}))
