"""All tables of the application, and the owner column of each."""

from importlib import import_module
from pathlib import Path

from sqlalchemy import Column, MetaData, Table

from engine.database.database import Base
from engine.database.rows import UserRow


def metadata() -> MetaData:
    """The tables of the engine, and those tables of the application that were imported."""
    import_rows("engine")
    return Base.metadata


def import_rows(package: str) -> None:
    """Import the modules of a package that declare tables: `rows.py` and `*_rows.py`."""
    folder = Path(str(import_module(package).__file__)).parent
    for file in sorted(folder.rglob("*rows.py")):
        import_module(".".join((package, *file.relative_to(folder).with_suffix("").parts)))


def owned_tables() -> list[Table]:
    """The tables whose rows have an owner, each after those that it refers to; users come first.

    A table whose rows have no owner declares `info={"has_owner": False}`.
    """
    tables = [table for table in metadata().sorted_tables if table.info.get("has_owner", True)]
    return sorted(tables, key=lambda table: table is not UserRow.__table__)


def tables_of_every_node() -> list[Table]:
    """The tables without owner that statements read together with those of an owner."""
    return [table for table in metadata().sorted_tables if table.info.get("on_every_node")]


def owner_column(table: Table) -> Column[str]:
    """The column with the owner of a row. Raises KeyError if the table has none."""
    return table.c["id" if table is UserRow.__table__ else "user_id"]
