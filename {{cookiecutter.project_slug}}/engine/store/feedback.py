"""Rated answers, with the question before each and the run that it came from."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, cast, func, select, true, tuple_
from sqlalchemy.dialects.postgresql import JSONPATH, aggregate_order_by
from sqlalchemy.orm import aliased

from engine.database.database import EVERYBODY, Database
from engine.database.rows import FeedbackRow, ItemRow, RunRow

PAGE = 200
BAD = "negative"

_CALLED = '$.content.items[*] ? (@.type == "function_call").name'


@dataclass(frozen=True)
class RatedAnswer:
    """`tools` are the functions that were called for the answer, in order.

    The hashes identify the agent's version; an answer from before there were any has none.
    """

    rated_at: datetime
    kind: str
    user_id: str
    thread_id: str
    item_id: str
    question: str
    answer: str
    tools: list[str]
    model: str | None
    instructions_hash: str | None
    tools_hash: str | None


async def rated_answers(
    database: Database, *, kind: str | None = None, since: datetime | None = None
) -> AsyncIterator[RatedAnswer]:
    """The rated answers of all users, rated last first."""
    statement = _statement(kind, since)
    rows = await database.read(EVERYBODY, statement)
    while rows:
        for row in rows:
            yield _answer(row)
        last = rows[-1]
        place = (last.updated_at, last.user_id, last.thread_id, last.item_id)
        rows = await database.read(EVERYBODY, statement.where(tuple_(*_ORDER) < place))


_ORDER = (
    FeedbackRow.updated_at,
    FeedbackRow.user_id,
    FeedbackRow.thread_id,
    FeedbackRow.item_id,
)


def _statement(kind: str | None, since: datetime | None) -> Select[Any]:
    answer, question, called = aliased(ItemRow), aliased(ItemRow), aliased(ItemRow)
    of_thread = [
        (item.user_id == answer.user_id) & (item.thread_id == answer.thread_id)
        for item in (question, called)
    ]
    asked = (
        select(question.payload, question.seq)
        .where(of_thread[0], question.type == "user_message", question.seq < answer.seq)
        .order_by(question.seq.desc())
        .limit(1)
        .lateral("asked")
    )
    names = func.jsonb_path_query_array(called.payload, cast(_CALLED, JSONPATH))
    tools = (
        select(func.jsonb_agg(aggregate_order_by(names, called.seq)))
        .where(of_thread[1], called.type == "hidden_context_item")
        .where(called.seq > asked.c.seq, called.seq < answer.seq)
        .scalar_subquery()
    )
    run = (
        select(RunRow.model, RunRow.instructions_hash, RunRow.tools_hash)
        .where(RunRow.user_id == answer.user_id, RunRow.thread_id == answer.thread_id)
        .where(RunRow.start_seq < answer.seq)
        .order_by(RunRow.start_seq.desc(), RunRow.started_at.desc())
        .limit(1)
        .lateral("run")
    )
    statement = (
        select(
            *_ORDER,
            FeedbackRow.kind,
            answer.payload.label("answer"),
            asked.c.payload.label("question"),
            tools.label("tools"),
            run.c.model,
            run.c.instructions_hash,
            run.c.tools_hash,
        )
        .join(
            answer,
            (answer.user_id == FeedbackRow.user_id)
            & (answer.thread_id == FeedbackRow.thread_id)
            & (answer.id == FeedbackRow.item_id),
        )
        .outerjoin(asked, true())
        .outerjoin(run, true())
        .order_by(*(column.desc() for column in _ORDER))
        .limit(PAGE)
    )
    if kind is not None:
        statement = statement.where(FeedbackRow.kind == kind)
    if since is not None:
        statement = statement.where(FeedbackRow.updated_at >= since)
    return statement


def _answer(row: Row[Any]) -> RatedAnswer:
    return RatedAnswer(
        rated_at=row.updated_at,
        kind=row.kind,
        user_id=row.user_id,
        thread_id=row.thread_id,
        item_id=row.item_id,
        question=_text(row.question or {}),
        answer=_text(row.answer),
        tools=[name for names in row.tools or () for name in names],
        model=row.model,
        instructions_hash=row.instructions_hash,
        tools_hash=row.tools_hash,
    )


def _text(payload: Mapping[str, Any]) -> str:
    """The text of a message, or the short one that stands for a widget."""
    parts = payload.get("content")
    if isinstance(parts, list):
        return "".join(str(part.get("text", "")) for part in parts)
    return str(payload.get("copy_text") or "")
