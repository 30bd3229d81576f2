"""Checks of the stored rows that must hold when no run is open, whatever failed before."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text

from engine.database.database import EVERYBODY, Database
from engine.database.rows import ItemRow, RunRow, ThreadRow
from engine.runs.recovery import RETRY

ITEMS, RUNS, THREADS = ItemRow.__tablename__, RunRow.__tablename__, ThreadRow.__tablename__


@dataclass
class SentMessage:
    """A message that a client sent, and the responses that the client received.

    `text` is unique. `answer` is the text of a complete answer, if it is known beforehand.
    `failure_seen` is true if the client received an error, or disconnected by itself.
    """

    user_id: str
    text: str
    answer: str | None = None
    thread_id: str | None = None
    acknowledged: bool = False
    refused: bool = False
    deleted: bool = False
    failure_seen: bool = False


@dataclass(frozen=True)
class Violation:
    kind: str
    where: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.where}"


async def violations(database: Database, sent_messages: Sequence[SentMessage]) -> list[Violation]:
    """All violations. Their kinds are the keys of `CHECKS`."""
    return [
        Violation(kind, where)
        for kind, check in CHECKS.items()
        async for where in check(database, sent_messages)
    ]


Rows = Sequence[Row[Any]]


async def _lost(database: Database, sent_messages: Sequence[SentMessage]) -> AsyncIterator[str]:
    stored = await _stored(database)
    for sent in sent_messages:
        if sent.acknowledged and not sent.deleted and (sent.user_id, sent.text) not in stored:
            yield f"{sent.text!r} of {sent.user_id} in {sent.thread_id}"


async def _twice(database: Database, sent_messages: Sequence[SentMessage]) -> AsyncIterator[str]:
    stored = await _stored(database)
    for sent in sent_messages:
        places = stored.get((sent.user_id, sent.text), [])
        if len(places) > 1:
            yield f"{sent.text!r} of {sent.user_id} in {', '.join(places)}"


async def _in_wrong_place(
    database: Database, sent_messages: Sequence[SentMessage]
) -> AsyncIterator[str]:
    stored = await _stored(database)
    for sent in sent_messages:
        for place in stored.get((sent.user_id, sent.text), []):
            if sent.refused or sent.deleted or sent.thread_id not in (None, place):
                yield f"{sent.text!r} of {sent.user_id} is in {place}, and not in {sent.thread_id}"


async def _running(database: Database, sent_messages: Sequence[SentMessage]) -> AsyncIterator[str]:
    for row in await _rows(
        database,
        f"""
        SELECT user_id, id, thread_id FROM {RUNS}
        WHERE status = 'running' OR ended_at IS NULL ORDER BY started_at
        """,
    ):
        yield f"run {row.id} of {row.user_id} in {row.thread_id}"


async def _same_place(
    database: Database, sent_messages: Sequence[SentMessage]
) -> AsyncIterator[str]:
    for row in await _rows(
        database,
        f"""
        SELECT user_id, thread_id, seq, string_agg(id, ', ' ORDER BY id) AS ids FROM {ITEMS}
        GROUP BY user_id, thread_id, seq HAVING count(*) > 1
        """,
    ):
        yield f"{row.ids} of {row.user_id} in {row.thread_id} at {row.seq}"


async def _unfinished(
    database: Database, sent_messages: Sequence[SentMessage]
) -> AsyncIterator[str]:
    known = {(sent.user_id, sent.text): sent for sent in sent_messages}
    for row in await _rows(database, _TURNS):
        sent = known.get((row.user_id, row.said), SentMessage(row.user_id, row.said))
        complete = (
            sent.answer in row.answers
            if sent.answer is not None
            else row.status == "done" and any(row.answers)
        )
        if not (complete or row.marked or (row.failed and sent.failure_seen)):
            yield f"{row.said!r} of {row.user_id} in {row.thread_id} ({row.status}): {row.types}"


async def _open_workflow(
    database: Database, sent_messages: Sequence[SentMessage]
) -> AsyncIterator[str]:
    for row in await _rows(
        database,
        f"""
        SELECT user_id, thread_id, id FROM {ITEMS}
        WHERE type = 'workflow' AND payload -> 'workflow' ->> 'summary' IS NULL
        """,
    ):
        yield f"{row.id} of {row.user_id} in {row.thread_id}"


async def _answered_twice(
    database: Database, sent_messages: Sequence[SentMessage]
) -> AsyncIterator[str]:
    for row in await _rows(database, _TURNS):
        if len(row.answers) > 1:
            yield f"{row.said!r} of {row.user_id} in {row.thread_id}: {row.answers}"


async def _misplaced(
    database: Database, sent_messages: Sequence[SentMessage]
) -> AsyncIterator[str]:
    """Answers that follow another message than their own, and threads that begin with an answer."""
    known = {sent.answer: sent for sent in sent_messages if sent.answer is not None}
    for row in await _rows(database, _TURNS):
        for answer in row.answers:
            sent = known.get(answer)
            if sent is not None and sent.text != row.said:
                yield f"the answer to {sent.text!r} follows {row.said!r} in {row.thread_id}"
    for row in await _rows(
        database,
        f"""
        SELECT DISTINCT ON (user_id, thread_id) user_id, thread_id, id, type FROM {ITEMS}
        ORDER BY user_id, thread_id, seq
        """,
    ):
        if row.type != "user_message":
            yield f"{row.id} of {row.user_id} is the first in {row.thread_id}"


async def _recreated(
    database: Database, sent_messages: Sequence[SentMessage]
) -> AsyncIterator[str]:
    threads = {(row.user_id, row.id) for row in await _rows(database, _ALL_THREADS)}
    for user_id, thread_id in {(s.user_id, s.thread_id) for s in sent_messages if s.deleted}:
        if (user_id, thread_id) in threads:
            yield f"{thread_id} of {user_id}"


Check = Callable[[Database, Sequence[SentMessage]], AsyncIterator[str]]

CHECKS: dict[str, Check] = {
    "an acknowledged message is lost": _lost,
    "a message is stored more than once": _twice,
    "a message is stored where it should not be": _in_wrong_place,
    "a run is left running": _running,
    "two items have the same seq": _same_place,
    "an answer is neither complete nor marked": _unfinished,
    "a workflow is left open": _open_workflow,
    "a message has more than one answer": _answered_twice,
    "an item is in the wrong position": _misplaced,
    "a deleted thread exists again": _recreated,
}

_ALL_THREADS = f"SELECT user_id, id FROM {THREADS}"

_MESSAGES = f"""
    SELECT user_id, thread_id, seq, payload -> 'content' -> 0 ->> 'text' AS said,
        coalesce(lag(seq) OVER thread, 0) AS before,
        coalesce(lead(seq) OVER thread, {2**63 - 1}) AS until
    FROM {ITEMS} WHERE type = 'user_message'
    WINDOW thread AS (PARTITION BY user_id, thread_id ORDER BY seq)
"""

# Each message of a user, the items between it and the next message, and the status of its runs.
# The `start_seq` of a retry is at or after its message, that of another run before its message. A
# retry whose `start_seq` is after the answer has not begun to answer, and is not counted.
_TURNS = f"""
    WITH message AS ({_MESSAGES})
    SELECT message.*, under.answers, under.marked, under.types, run.status, run.failed
    FROM message
    CROSS JOIN LATERAL (
        SELECT
            coalesce(
                array_agg(payload -> 'content' -> 0 ->> 'text' ORDER BY seq)
                FILTER (WHERE type = 'assistant_message'), CAST(ARRAY[] AS text[])
            ) AS answers,
            max(seq) FILTER (WHERE type = 'assistant_message') AS answered_at,
            coalesce(bool_or(type IN ('task', 'sdk_hidden_context')), false) AS marked,
            string_agg(type, ', ' ORDER BY seq) AS types
        FROM {ITEMS} AS item
        WHERE (item.user_id, item.thread_id) = (message.user_id, message.thread_id)
        AND item.seq > message.seq AND item.seq < message.until
    ) AS under
    CROSS JOIN LATERAL (
        SELECT
            (array_agg(status ORDER BY started_at DESC))[1] AS status,
            coalesce(bool_or(status = 'failed'), false) AS failed
        FROM {RUNS} AS run
        WHERE (run.user_id, run.thread_id) = (message.user_id, message.thread_id)
        AND CASE WHEN request = '{RETRY}'
            THEN start_seq >= message.seq
                AND start_seq < least(message.until, coalesce(under.answered_at, message.until))
            ELSE start_seq >= message.before AND start_seq < message.seq END
    ) AS run
    ORDER BY message.user_id, message.thread_id, message.seq
"""


async def _stored(database: Database) -> dict[tuple[str, str], list[str]]:
    """The threads that contain a message, by user and text."""
    places: dict[tuple[str, str], list[str]] = {}
    for row in await _rows(database, f"SELECT user_id, thread_id, said FROM ({_MESSAGES}) AS m"):
        places.setdefault((row.user_id, row.said), []).append(row.thread_id)
    return places


async def _rows(database: Database, statement: str) -> Rows:
    return await database.fetch(EVERYBODY, text(statement))
