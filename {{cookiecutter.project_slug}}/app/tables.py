"""Every table of the application, and the column of each that names its owner."""

import importlib
import pkgutil

from sqlalchemy import Column, MetaData, Table

import app.stores
from app.chat.models import UserRow
from app.db import Base


def metadata() -> MetaData:
    """The conversation's tables, and those of the tools that keep rows."""
    for module in pkgutil.iter_modules(app.stores.__path__):
        importlib.import_module(f"app.stores.{module.name}")
    return Base.metadata


def owned_tables() -> list[Table]:
    """All that hold what is a user's. A table comes after those it refers to, and all after that
    of the users.

    One whose rows belong to nobody says so: `info={"has_owner": False}`.
    """
    tables = [table for table in metadata().sorted_tables if table.info.get("has_owner", True)]
    return sorted(tables, key=lambda table: table is not UserRow.__table__)


def owner_column(table: Table) -> Column[str]:
    """Where a row says whose it is. Raises KeyError for a table that does not say."""
    return table.c["id" if table is UserRow.__table__ else "user_id"]
