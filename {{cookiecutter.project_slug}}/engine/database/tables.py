"""Every table of the application, and the column of each that names its owner."""

from importlib import import_module
from pathlib import Path

from sqlalchemy import Column, MetaData, Table

from engine.database.database import Base
from engine.database.rows import UserRow


def metadata() -> MetaData:
    """The tables of the engine, and those of the application that were imported."""
    import_rows("engine")
    return Base.metadata


def import_rows(package: str) -> None:
    """Import the modules that declare tables: those named `rows`, or that end in `_rows`."""
    folder = Path(str(import_module(package).__file__)).parent
    for file in sorted(folder.rglob("*rows.py")):
        import_module(".".join((package, *file.relative_to(folder).with_suffix("").parts)))


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
