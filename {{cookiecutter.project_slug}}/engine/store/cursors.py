"""Cursors of lists, which work even if the row that they name was deleted.

Ids are ordered by time (`engine.context.ids`), so the neighbours of a deleted row are found by its
id. Items that users see are stored in that order too. A tool call is an exception, stored before
its workflow, whose id is older; but no page that a user sees ends with a tool call.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, literal, select, tuple_, union_all

from engine.context.ids import PREFIXES
from engine.database.rows import ItemRow, ThreadRow

_ID = re.compile(r"[a-z]+_[0-9a-f]{32}")

Conditions = Sequence[ColumnElement[bool]]


@dataclass(frozen=True)
class Cursor:
    """A position in a list. `after` matches the rows after `row`, and nothing if that is deleted.

    `after_place` matches the rows after the position that the row has or had.
    """

    row: Select[*tuple[Any, ...]]
    after: ColumnElement[bool]
    after_place: ColumnElement[bool]
    is_ours: bool  # the id is from `engine.context.ids` and so contains its time


def thread_cursor(user_id: str, id_: str, order: str) -> Cursor:
    descending = order == "desc"
    columns = (ThreadRow.created_at, ThreadRow.id)
    row = select(*columns).where(ThreadRow.user_id == user_id, ThreadRow.id == id_)
    nearest = (
        select(ThreadRow.created_at)
        .where(
            ThreadRow.user_id == user_id,
            ThreadRow.id <= id_ if descending else ThreadRow.id >= id_,
        )
        .order_by(ThreadRow.id.desc() if descending else ThreadRow.id)
        .limit(1)
    )
    place = tuple_(nearest.scalar_subquery(), literal(id_))
    thread = tuple_(*columns)
    return Cursor(
        row,
        thread < row.scalar_subquery() if descending else thread > row.scalar_subquery(),
        thread < place if descending else thread > place,
        is_ours=_ID.fullmatch(id_) is not None,
    )


def item_cursor(thread: Conditions, id_: str, order: str) -> Cursor:
    """The cursor of an item. `thread` are the conditions that select the items of the thread."""
    descending = order == "desc"
    row = select(ItemRow.seq).where(*thread, ItemRow.id == id_)
    seq = row.scalar_subquery()
    near = union_all(*(_near(thread, kind, id_, descending) for kind in PREFIXES.values()))
    near_seq = near.subquery().c.seq
    if descending:
        place = func.coalesce(seq, select(func.max(near_seq) + 1).scalar_subquery())
    else:
        place = func.coalesce(seq, select(func.min(near_seq) - 1).scalar_subquery())
    return Cursor(
        row,
        ItemRow.seq < seq if descending else ItemRow.seq > seq,
        ItemRow.seq < place if descending else ItemRow.seq > place,
        is_ours=_ID.fullmatch(id_) is not None,
    )


def _near(thread: Conditions, prefix: str, id_: str, descending: bool) -> Select[tuple[int]]:
    """The item with this prefix whose id is nearest to the cursor's."""
    place = f"{prefix}_{id_.rpartition('_')[2]}"
    if descending:
        within = (ItemRow.id <= place, ItemRow.id >= f"{prefix}_0")
    else:
        within = (ItemRow.id >= place, ItemRow.id < f"{prefix}_g")
    nearest = (
        select(ItemRow.seq)
        .where(*thread, *within)
        .order_by(ItemRow.id.desc() if descending else ItemRow.id)
        .limit(1)
        .subquery()
    )
    return select(nearest.c.seq)
