"""The statements of a checkpoint: a heartbeat, and along with it a draft.

They are built once and executed for many runs in one round trip, each with its own owner's values.
All have one row with the run's `id` and the `command` that was sent to it, or none when another
worker has closed the run, and then write nothing.
"""

import json
from typing import Any

from chatkit.types import ThreadItem
from sqlalchemy import Select, Text, bindparam, cast, func, select, update
from sqlalchemy.dialects.postgresql import JSONB

from engine.context.run import Run
from engine.database.database import ASYNC_COMMIT
from engine.database.rows import IS_RUNNING, RunRow
from engine.store.item_statements import (
    OWNER,
    RUN,
    Parameters,
    item_parameters,
    item_upsert,
    replaced_answer,
)


def _checkpoint(*, draft: bool = False, replaces: bool = False) -> Select[Any]:
    beat = (
        update(RunRow)
        .where(RunRow.user_id == OWNER, RunRow.id == RUN, IS_RUNNING)
        .values(
            heartbeat_at=func.now(),
            instructions_hash=bindparam("instructions_hash", type_=Text),
            tools_hash=bindparam("tools_hash", type_=Text),
        )
        .returning(RunRow.id, RunRow.command.label("command"))
        .cte("beat")
    )
    # As text, which is how the driver is given JSON.
    payload = cast(bindparam("payload", type_=Text), JSONB)
    writes = [item_upsert(beat, payload).cte("draft")] if draft else []
    if replaces:
        writes.append(replaced_answer(beat))
    return select(beat.c.id, beat.c.command, ASYNC_COMMIT).add_cte(*writes)


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
    parameters = item_parameters(run.user_id, run.thread_id, item, run)
    return {
        **heartbeat_parameters(run),
        **parameters,
        "payload": json.dumps(parameters["payload"]),
    }
