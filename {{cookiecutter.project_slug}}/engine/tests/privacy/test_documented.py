"""`docs/data.md` says of every table what it holds and for how long."""

import pytest
from sqlalchemy import Table

from engine.database.database import TABLE_PREFIX
from engine.database.tables import metadata
from engine.settings.settings import PROJECT_ROOT
from engine.tests.application import kind_of_files

DOCUMENT = (PROJECT_ROOT / "docs" / "data.md").read_text(encoding="utf-8")
ROWS = [line for line in DOCUMENT.splitlines() if line.startswith("|")]
# The first has only ids, the second no rows about anybody, and the third none without files.
LEFT_OUT = {"users", "sweeps", *(() if kind_of_files() else ("attachments",))}


@pytest.mark.parametrize("table", metadata().sorted_tables, ids=lambda table: table.name)
def test_a_table(table: Table) -> None:
    name = table.name.removeprefix(TABLE_PREFIX)
    if name in LEFT_OUT or not table.name.startswith(TABLE_PREFIX):
        return
    rows = [row for row in ROWS if f"`{name}`" in row]
    assert rows, f"docs/data.md does not name the table {name}"
    if table.info.get("aged_by"):
        assert "RETENTION_DAYS" in rows[0]
