"""All that is kept of a user, as one archive."""

import json
import re
import zipfile
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from chatkit.types import ThreadItem
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Table, select

from engine.database.database import TABLE_PREFIX, Database
from engine.database.rows import ItemRow, ThreadRow
from engine.database.tables import owner_column
from engine.operate.privacy.erase import existing_tables
from engine.operate.privacy.markdown import as_markdown
from engine.options import Attachments

# Conversations have files of their own, each with its items.
CONVERSATIONS = "conversations"
THREADS_AT_ONCE = 50

_ITEM: TypeAdapter[ThreadItem] = TypeAdapter(ThreadItem)
_UNSAFE = re.compile(r"[^\w.-]+")

README = """Everything that is kept of this user.

conversations/   each conversation as it is stored (JSON), and to read (Markdown)
files/           attached files, with the id of each before its name
*.json           the rest, a table each; times are UTC
"""


async def export(
    database: Database, user_id: str, target: Path, attachments: Attachments | None = None
) -> int:
    """Write the archive (ZIP) to `target`. Returns how many files are in it; 0 without any row."""
    async with database.reading(user_id) as connection:
        tables = await existing_tables(connection)
    count = 0
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        async for name, content in _files(database, user_id, tables, attachments):
            archive.writestr(name, content)
            count += 1
        if count:
            archive.writestr("README.txt", README)
    return count


async def _files(
    database: Database,
    user_id: str,
    tables: Sequence[Table],
    attachments: Attachments | None,
) -> AsyncIterator[tuple[str, str | bytes]]:
    for what, rows in (await records(database, user_id, tables)).items():
        yield f"{file_name(what)}.json", _json(rows)
    async for id_, thread, items in _conversations(database, user_id):
        name = f"conversations/{file_name(id_)}"
        yield f"{name}.json", _json({**thread, "items": items})
        yield f"{name}.md", as_markdown(thread, [i for i in map(_parsed, items) if i is not None])
    if attachments is not None:
        async for attachment, content in attachments.contents(user_id):
            yield f"files/{attachment.id}-{file_name(attachment.name)}", content


async def records(
    database: Database, user_id: str, tables: Sequence[Table]
) -> Mapping[str, list[dict[str, Any]]]:
    """The user's rows of all tables but conversations, by what the tables hold."""
    records: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    for table in tables:
        what = table.info.get("holds") or table.name.removeprefix(TABLE_PREFIX)
        if what == CONVERSATIONS:
            continue
        left_out = {"user_id", *table.info.get("without", ())}
        columns = [column for column in table.columns if column.name not in left_out]
        if not columns:
            continue
        statement = select(*columns).where(owner_column(table) == user_id)
        rows = await database.read(user_id, statement.order_by(*table.primary_key.columns))
        records[what] += [dict(row._mapping) for row in rows]
    return {what: rows for what, rows in records.items() if rows}


async def _conversations(
    database: Database, user_id: str
) -> AsyncIterator[tuple[str, dict[str, Any], list[dict[str, Any]]]]:
    """Ids and threads, oldest first, each with its items. Not all at once: they may be many."""
    after = ""
    while True:
        threads = (
            select(ThreadRow.id, ThreadRow.payload)
            .where(ThreadRow.user_id == user_id, ThreadRow.id > after)
            .order_by(ThreadRow.id)
            .limit(THREADS_AT_ONCE)
        )
        rows = await database.read(user_id, threads)
        for row in rows:
            items = (
                select(ItemRow.payload)
                .where(ItemRow.user_id == user_id, ItemRow.thread_id == row.id)
                .order_by(ItemRow.seq)
            )
            said = [item.payload for item in await database.read(user_id, items)]
            yield row.id, row.payload, said
        if len(rows) < THREADS_AT_ONCE:
            return
        after = rows[-1].id


def _parsed(item: dict[str, Any]) -> ThreadItem | None:
    """None for an item that this version does not know; it is in the JSON all the same."""
    try:
        return _ITEM.validate_python(item)
    except ValidationError:
        return None


def file_name(text: str) -> str:
    """A name that is one file's wherever the archive is unpacked."""
    return _UNSAFE.sub("_", text).strip("._")[:100] or "file"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=_plain)


def _plain(value: object) -> object:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")
