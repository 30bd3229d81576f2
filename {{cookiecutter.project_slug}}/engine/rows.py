"""For tables of the application's own: their base class, their prefix, their owner."""

from engine.database.database import TABLE_PREFIX, Base, Database
from engine.database.rows import UserRow

__all__ = ["TABLE_PREFIX", "Base", "Database", "UserRow"]
