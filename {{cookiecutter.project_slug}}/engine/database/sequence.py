"""Checks that the sequence of `seq` is not behind the stored items.

A restore without sequences, or an upgrade by logical replication, leaves it behind. New items
would then be ordered before old ones, and a retry would replace items up to the thread's end.
"""

import logging

from sqlalchemy import func, literal_column, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.database.rows import ItemRow

logger = logging.getLogger(__name__)

_TABLE = f'"{ItemRow.__tablename__}"'
_SEQUENCE = f"pg_get_serial_sequence('{_TABLE}', 'seq')"

# A readiness probe compares all items for at most this long.
CHECK_SECONDS = 2.0
_QUERY_CANCELED = "57014"

_FIX = f"setval({_SEQUENCE}, max(seq)) FROM {_TABLE}"
SEQUENCE_BEHIND = (
    "New items would be numbered lower than stored ones, as after a restore or an upgrade that left "
    f"sequences behind. Run: SELECT {_FIX}"
)


async def last_number(connection: AsyncConnection) -> int | None:
    """The last number that the sequence has assigned; None if there is no such sequence."""
    name = await connection.scalar(select(literal_column(_SEQUENCE)))
    if name is None:
        return None
    last: int = await connection.scalar(
        text(f"SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM {name}")  # noqa: S608
    )
    return last


async def is_behind(connection: AsyncConnection) -> bool:
    """True if an item has a higher number. Reads all items: seconds for many millions of them."""
    # The items come first, so that an item added meanwhile cannot look too high.
    highest: int | None = await connection.scalar(select(func.max(ItemRow.seq)))
    last = await last_number(connection)
    return highest is not None and last is not None and last < highest


class SequenceCheck:
    """For probes: compares all items once, and again when the sequence went backwards."""

    def __init__(self) -> None:
        self._last: int | None = None

    async def is_behind(self, connection: AsyncConnection) -> bool:
        last = await last_number(connection)
        if last is None:
            return False
        if (self._last is None or last < self._last) and await self._compare_in_time(connection):
            return True
        self._last = last
        return False

    async def _compare_in_time(self, connection: AsyncConnection) -> bool:
        limit = func.set_config("statement_timeout", str(int(CHECK_SECONDS * 1_000)), True)
        try:
            async with connection.begin_nested():
                await connection.execute(select(limit))
                return await is_behind(connection)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _QUERY_CANCELED:
                raise
            logger.warning(
                "comparing the items with their sequence takes too long for a probe; to do it, run "
                "`python3 -m app doctor`"
            )
            return False
