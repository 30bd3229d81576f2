"""The statements of a checkpoint: a heartbeat, and along with it a draft.

They are built once and executed for many runs in one round trip, each with its own owner's values.
All have one row with the run's `id` and the `command` that was sent to it, or none when another
worker has closed the run, and then write nothing.
"""

import json
from collections.abc import Mapping
from typing import Any

from chatkit.types import ThreadItem
from sqlalchemy import (
    CTE,
    BigInteger,
    DateTime,
    Select,
    Text,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from engine.context.run import Run
from engine.database.database import ASYNC_COMMIT
from engine.database.rows import IS_RUNNING, ItemRow, RunRow
from engine.text.unicode import storable

Parameters = Mapping[str, Any]

_OWNER = bindparam("owner", type_=Text)
_RUN = bindparam("run", type_=Text)
_THREAD = bindparam("thread", type_=Text)


def _checkpoint(*, draft: bool = False, replaces: bool = False) -> Select[Any]:
    beat = (
        update(RunRow)
        .where(RunRow.user_id == _OWNER, RunRow.id == _RUN, IS_RUNNING)
        .values(
            heartbeat_at=func.now(),
            instructions_hash=bindparam("instructions_hash", type_=Text),
            tools_hash=bindparam("tools_hash", type_=Text),
        )
        .returning(RunRow.id, RunRow.command.label("command"))
        .cte("beat")
    )
    writes = [_draft(beat)] if draft else []
    if replaces:
        writes.append(_replaced(beat))
    return select(beat.c.id, beat.c.command, ASYNC_COMMIT).add_cte(*writes)


def _draft(beat: CTE) -> CTE:
    values = (
        _OWNER,
        _THREAD,
        bindparam("item", type_=Text),
        bindparam("type", type_=Text),
        cast(bindparam("payload", type_=Text), JSONB),
    )
    columns = (ItemRow.user_id, ItemRow.thread_id, ItemRow.id, ItemRow.type, ItemRow.payload)
    return (
        insert(ItemRow)
        .from_select(columns, select(*values).where(select(beat.c.id).exists()))
        .on_conflict_do_update(
            index_elements=[ItemRow.user_id, ItemRow.thread_id, ItemRow.id],
            set_={"payload": literal_column("excluded.payload")},
        )
        .cte("draft")
    )


def _replaced(beat: CTE) -> CTE:
    """Deletes the old answer, now that the new one has begun."""
    statement = delete(ItemRow).where(
        ItemRow.user_id == _OWNER,
        ItemRow.thread_id == _THREAD,
        ItemRow.seq > bindparam("after_seq", type_=BigInteger),
        ItemRow.seq <= bindparam("last_seq", type_=BigInteger),
        # If the sequence was once behind, the range contains items older than the question.
        ItemRow.created_at >= bindparam("asked_at", type_=DateTime(timezone=True)),
        select(beat.c.id).exists(),
    )
    return statement.cte("replaced")


HEARTBEAT = _checkpoint()
DRAFT = _checkpoint(draft=True)
DRAFT_OF_RETRY = _checkpoint(draft=True, replaces=True)


def heartbeat_parameters(run: Run) -> Parameters:
    return {
        "owner": run.user_id,
        "run": run.id,
        "instructions_hash": run.instructions_hash,
        "tools_hash": run.tools_hash,
    }


def draft_parameters(run: Run, item: ThreadItem) -> Parameters:
    """Those of `DRAFT`, or of `DRAFT_OF_RETRY` when the run replaces an answer."""
    replaced: Parameters = {}
    if run.retry is not None:
        replaced = {
            "after_seq": run.retry.after_seq,
            "last_seq": run.retry.last_seq,
            "asked_at": run.retry.asked_at,
        }
    return {
        **heartbeat_parameters(run),
        "thread": run.thread_id,
        "item": item.id,
        "type": item.type,
        "payload": json.dumps(storable(item.model_dump(mode="json"))),
        **replaced,
    }
