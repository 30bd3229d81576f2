"""The base class, prefix and owner for tables of the application itself, and what they hold."""

from engine.database.database import TABLE_PREFIX, Base, Database, holds
from engine.database.rows import UserRow

__all__ = ["TABLE_PREFIX", "Base", "Database", "UserRow", "holds"]
