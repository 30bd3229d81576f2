"""The statements that write items: built once, but for one that writes several.

With `alive` they write only if that has a row: a run that another worker has closed writes nothing.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from chatkit.types import ThreadItem
from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    DateTime,
    Executable,
    SelectBase,
    Text,
    bindparam,
    delete,
    literal,
    literal_column,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert

from engine.context.run import Retry, Run
from engine.database.rows import IS_RUNNING, ItemRow, RunRow
from engine.text.unicode import storable

Parameters = Mapping[str, Any]

OWNER = bindparam("owner", type_=Text)
THREAD = bindparam("thread", type_=Text)
RUN = bindparam("run", type_=Text)
_PAYLOAD = bindparam("payload", type_=JSONB)


def item_upsert(alive: CTE | None = None, payload: ColumnElement[Any] = _PAYLOAD) -> Insert:
    values = (OWNER, THREAD, bindparam("item", type_=Text), bindparam("type", type_=Text), payload)
    condition = true() if alive is None else select(alive.c.id).exists()
    return _upsert(select(*values).where(condition))


def upsert_items(user_id: str, thread_id: str, items: Sequence[ThreadItem]) -> Insert:
    # SQLAlchemy would compile a statement with several rows of VALUES anew each time.
    rows = [
        select(
            literal(user_id),
            literal(thread_id),
            literal(item.id),
            literal(item.type),
            literal(storable(item.model_dump(mode="json")), JSONB),
        )
        for item in items
    ]
    return _upsert(rows[0] if len(rows) == 1 else union_all(*rows))


def _upsert(source: SelectBase) -> Insert:
    columns = (ItemRow.user_id, ItemRow.thread_id, ItemRow.id, ItemRow.type, ItemRow.payload)
    return (
        insert(ItemRow)
        .from_select(columns, source)
        .on_conflict_do_update(
            index_elements=[ItemRow.user_id, ItemRow.thread_id, ItemRow.id],
            # `row.excluded` copies the table each time.
            set_={name: literal_column(f"excluded.{name}") for name in ("payload", "type")},
        )
    )


def replaced_answer(alive: CTE) -> CTE:
    """Deletes the old answer, now that the new one has begun. `retry_parameters` say which."""
    statement = delete(ItemRow).where(
        ItemRow.user_id == OWNER,
        ItemRow.thread_id == THREAD,
        ItemRow.seq > bindparam("after_seq", type_=BigInteger),
        ItemRow.seq <= bindparam("last_seq", type_=BigInteger),
        # If the sequence was once behind, the range contains items older than the question.
        ItemRow.created_at >= bindparam("asked_at", type_=DateTime(timezone=True)),
        select(alive.c.id).exists(),
    )
    return statement.cte("replaced")


def _save(*, in_run: bool = False, replaces: bool = False) -> Executable:
    """Has a row if the item was written."""
    alive = _alive() if in_run or replaces else None
    saved = item_upsert(alive).returning(ItemRow.id)
    return saved.add_cte(replaced_answer(alive)) if alive is not None and replaces else saved


def _alive() -> CTE:
    """The run, unless another worker has closed it; it is locked while the statement lasts."""
    run = select(RunRow.id).where(RunRow.user_id == OWNER, RunRow.id == RUN, IS_RUNNING)
    return run.with_for_update(read=True).cte("alive")


SAVE_ITEM = _save()
SAVE_ITEM_IN_RUN = _save(in_run=True)
SAVE_ITEM_OF_RETRY = _save(replaces=True)


def item_parameters(
    user_id: str, thread_id: str, item: ThreadItem, run: Run | None = None
) -> Parameters:
    """Those of `SAVE_ITEM`; with the run, also those of the other two."""
    in_run: Parameters = {} if run is None else {"run": run.id, **retry_parameters(run.retry)}
    return {
        "owner": user_id,
        "thread": thread_id,
        "item": item.id,
        "type": item.type,
        "payload": storable(item.model_dump(mode="json")),
        **in_run,
    }


def retry_parameters(retry: Retry | None) -> Parameters:
    """Those of `replaced_answer`; none where nothing is replaced."""
    if retry is None:
        return {}
    return {
        "after_seq": retry.after_seq,
        "last_seq": retry.last_seq,
        "asked_at": retry.asked_at,
    }
