"""The `users` row, made when somebody is first seen."""

from collections import OrderedDict

from sqlalchemy.dialects.postgresql import insert

from app.chat.models import UserRow
from app.db import Database

REMEMBERED_USERS = 10_000


class Users:
    """Remembers whom it saw lately, so that most requests cost no statement."""

    def __init__(self, database: Database, *, remembered: int = REMEMBERED_USERS) -> None:
        self._database = database
        self._remembered = remembered
        self._seen: OrderedDict[str, None] = OrderedDict()

    async def ensure(self, user_id: str) -> None:
        if user_id not in self._seen:
            async with self._database.transaction() as connection:
                await connection.execute(
                    insert(UserRow).values(id=user_id).on_conflict_do_nothing()
                )
        self._remember(user_id)

    def _remember(self, user_id: str) -> None:
        self._seen[user_id] = None
        self._seen.move_to_end(user_id)
        if len(self._seen) > self._remembered:
            self._seen.popitem(last=False)
