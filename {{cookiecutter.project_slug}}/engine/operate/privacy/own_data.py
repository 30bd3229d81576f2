"""Exports and erases the data of a user, for the pages where users do that themselves."""

from pathlib import Path

from engine.database.database import Database
from engine.operate.privacy.erase import erase
from engine.operate.privacy.export import export
from engine.options import Attachments


class DataOfUsers:
    """Implements `OwnData`."""

    def __init__(self, database: Database, attachments: Attachments | None) -> None:
        self._database = database
        self._attachments = attachments

    async def export(self, user_id: str, target: Path) -> int:
        return await export(self._database, user_id, target, self._attachments)

    async def erase(self, user_id: str) -> None:
        """Files that are left, because their store is not reachable, are deleted by its sweeper."""
        await erase(self._database, user_id, self._attachments)
