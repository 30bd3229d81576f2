"""`python3 -m app db distribute`: spread the tables over a Citus cluster, by their owner.

All rows of a user then live on one node, where each statement of a turn finds what it needs.
Safe to repeat: a table that is distributed already is left as it is.
"""

import asyncio

from sqlalchemy import Table, text

from engine.database.database import new_engine
from engine.database.rows import UserRow
from engine.database.tables import owned_tables, owner_column, tables_of_every_node

HAS_CITUS = "SELECT EXISTS (SELECT FROM pg_proc WHERE proname = 'create_distributed_table')"
DISTRIBUTED = "SELECT logicalrelid::text FROM pg_dist_partition"

NO_CITUS = (
    "This database has no Citus: `create_distributed_table` is not there. Where the server has "
    "the extension, `CREATE EXTENSION citus` adds it; --sql only prints the statements."
)


def print_statements() -> None:
    for table in owned_tables():
        print(f"{distribution_of(table)};")
    for table in tables_of_every_node():
        print(f"{copies_of(table)};")


def distribute(url: str) -> int:
    return asyncio.run(_distribute(url))


def distribution_of(table: Table) -> str:
    """Rows of one owner share a node, whichever table they are in: colocated with the users."""
    users = UserRow.__tablename__
    group = "none" if table.name == users else users  # "none" begins a group of its own
    return (
        f"SELECT create_distributed_table('{table.name}', '{owner_column(table).name}',"
        f" colocate_with => '{group}')"
    )


def copies_of(table: Table) -> str:
    return f"SELECT create_reference_table('{table.name}')"


async def _distribute(url: str) -> int:
    engine = new_engine(url)
    try:
        async with engine.begin() as connection:
            if not await connection.scalar(text(HAS_CITUS)):
                print(NO_CITUS)
                return 1
            distributed = set(await connection.scalars(text(DISTRIBUTED)))
            # A table can be distributed when those that it refers to are.
            for table in owned_tables():
                if table.name in distributed:
                    print(f"{table.name}: distributed already")
                else:
                    await connection.execute(text(distribution_of(table)))
                    print(f"{table.name}: by {owner_column(table).name}")
            for table in tables_of_every_node():
                if table.name not in distributed:
                    await connection.execute(text(copies_of(table)))
                    print(f"{table.name}: on every node")
    finally:
        await engine.dispose()
    return 0
