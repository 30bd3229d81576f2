"""The sequence that numbers items: whether it is ahead of the items that are there.

A restore without it, or an upgrade by logical replication, leaves it behind. New items then come
before old ones, and the answer that a retry replaces seems to reach to the end of the thread.
"""

import logging

from sqlalchemy import func, literal_column, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.database.rows import ItemRow

logger = logging.getLogger(__name__)

_TABLE = f'"{ItemRow.__tablename__}"'
_SEQUENCE = f"pg_get_serial_sequence('{_TABLE}', 'seq')"

# The longest that a probe may look through all items.
LOOK_SECONDS = 2.0
_TOO_LONG = "57014"

_MEND = f"setval({_SEQUENCE}, max(seq)) FROM {_TABLE}"
BEHIND = (
    "New items would be numbered lower than stored ones, as after a restore or an upgrade that left "
    f"sequences behind. Run: SELECT {_MEND}"
)


async def last_number(connection: AsyncConnection) -> int | None:
    """The highest number that the sequence has given; None where there is no such sequence."""
    name = await connection.scalar(select(literal_column(_SEQUENCE)))
    if name is None:
        return None
    last: int = await connection.scalar(
        text(f"SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM {name}")  # noqa: S608
    )
    return last


async def is_behind(connection: AsyncConnection) -> bool:
    """Looks through all items: seconds, where there are many millions."""
    # In this order: an item that comes in between has been numbered before the second look.
    highest: int | None = await connection.scalar(select(func.max(ItemRow.seq)))
    last = await last_number(connection)
    return highest is not None and last is not None and last < highest


class SequenceWatch:
    """For probes: looks through all items at first, and again when the sequence has gone back."""

    def __init__(self) -> None:
        self._seen: int | None = None

    async def is_behind(self, connection: AsyncConnection) -> bool:
        last = await last_number(connection)
        if last is None:
            return False
        if (self._seen is None or last < self._seen) and await self._look(connection):
            return True
        self._seen = last
        return False

    async def _look(self, connection: AsyncConnection) -> bool:
        limit = func.set_config("statement_timeout", str(int(LOOK_SECONDS * 1_000)), True)
        try:
            async with connection.begin_nested():
                await connection.execute(select(limit))
                return await is_behind(connection)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _TOO_LONG:
                raise
            logger.warning("too many items to compare with their sequence here: ask the doctor")
            return False
