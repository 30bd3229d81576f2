"""The statement that begins a run, if the user's limits and the thread allow it."""

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, bindparam, func, select, true
from sqlalchemy.dialects.postgresql import insert

from engine.context.shared_limits import SharedLimits
from engine.database.database import ASYNC_COMMIT
from engine.database.rows import IS_RUNNING, ItemRow, RunRow, ThreadRow
from engine.database.users import ensure_user
from engine.runs.token_days import tokens_of_today
from engine.settings.settings import Settings

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

_USER = bindparam("user_id", type_=Text)
_THREAD = bindparam("thread_id", type_=Text)


def claim_statement(
    settings: Settings, *, new_thread: bool, shared: SharedLimits | None = None
) -> Select[Any]:
    """One statement that checks and claims, and has one row to say what came of it.

    Its parameters are `user_id`, `run_id`, `thread_id`, `request`, `request_key`, `model` and
    `worker`. `claimed` is the run's id or null; the other columns tell why it is null: `turns` of
    the last minute and when the `first` of them began, `tokens` of the day, the free `slot`, the
    thread's `payload`, and the run that is `busy` in it. `moment` is the database's time, by which
    all of that was counted. Shared limits add the parameter `address`, columns of theirs, and
    `taken`, whether a place among them was.
    """
    since_minute = func.now() - MINUTE
    used = (
        select(
            func.count().label("turns"),
            func.min(RunRow.started_at).label("first"),
            tokens_of_today(_USER).label("tokens"),
        )
        .where(RunRow.user_id == _USER, RunRow.started_at > since_minute)
        .cte("used")
    )
    slots = func.generate_series(1, settings.running_answers_per_user).column_valued("number")
    taken = select(RunRow.slot).where(RunRow.user_id == _USER, IS_RUNNING, RunRow.slot == slots)
    free = select(func.min(slots).label("slot")).where(~taken.exists()).cte("free")
    seen = used.join(free, true())
    thread = (
        select(ThreadRow.payload)
        .where(ThreadRow.user_id == _USER, ThreadRow.id == _THREAD)
        .cte("thread")
    )
    last = select(func.coalesce(func.max(ItemRow.seq), 0)).where(
        ItemRow.user_id == _USER, ItemRow.thread_id == _THREAD
    )
    is_active = thread.c.payload["status"]["type"].astext == "active"
    conditions: list[ColumnElement[bool]] = [
        used.c.turns < settings.turns_per_minute,
        free.c.slot.is_not(None),
        true() if new_thread else select(thread.c.payload).where(is_active).exists(),
    ]
    if settings.tokens_per_day:
        conditions.append(used.c.tokens < settings.tokens_per_day)
    shared_columns: list[ColumnElement[Any]] = []
    if shared is not None:
        may_begin, is_taken = shared.take(seen, conditions)
        shared_columns = [*shared.columns(), is_taken.label("taken")]
        conditions = [may_begin]
    values: dict[str, ColumnElement[Any]] = {
        "user_id": _USER,
        "id": bindparam("run_id", type_=Text),
        "thread_id": _THREAD,
        "request": bindparam("request", type_=Text),
        "request_key": bindparam("request_key", type_=Text),
        "model": bindparam("model", type_=Text),
        "worker": bindparam("worker", type_=Text),
        "slot": free.c.slot,
        "start_seq": last.scalar_subquery(),
    }
    claimed = (
        insert(RunRow)
        .from_select(list(values), select(*values.values()).select_from(seen).where(*conditions))
        .on_conflict_do_nothing()
        .returning(RunRow.id)
        .cte("claimed")
    )
    refusal_or_claim = select(
        used.c.turns,
        used.c.first,
        used.c.tokens,
        free.c.slot,
        func.now().label("moment"),
        select(thread.c.payload).scalar_subquery().label("payload"),
        select(claimed.c.id).scalar_subquery().label("claimed"),
        running_in(_USER, _THREAD).scalar_subquery().label("busy"),
        *shared_columns,
        # A crash that takes the claim takes what hangs on it: no item is written without it.
        ASYNC_COMMIT,
    ).select_from(seen)
    return refusal_or_claim.add_cte(ensure_user(_USER).cte("owner"))


def running_in(
    user_id: str | ColumnElement[str], thread_id: str | ColumnElement[str]
) -> Select[Any]:
    """The run that answers in that thread."""
    return select(RunRow.id).where(
        RunRow.user_id == user_id, RunRow.thread_id == thread_id, IS_RUNNING
    )
