"""The store of one turn, which spares a statement."""

from typing import Any

from chatkit.types import Page, ThreadItem, UserMessageItem

from engine.database.database import Database
from engine.options import Attachments
from engine.store.store import SqlStore


class TurnStore(SqlStore):
    """Spares the statement with which the SDK begins each answer.

    It reads the thread's newest items, in search of a workflow to go on with. After a message of
    the user, there is none: that message is the newest item, and the turn holds it already.
    """

    def __init__(
        self, database: Database, attachments: Attachments | None, message: UserMessageItem | None
    ) -> None:
        super().__init__(database, attachments)
        self._newest = message

    async def load_thread_items(self, thread_id: str, *args: Any, **more: Any) -> Page[ThreadItem]:
        newest, self._newest = self._newest, None
        if newest is not None:
            return Page[ThreadItem](data=[newest])
        return await super().load_thread_items(thread_id, *args, **more)
