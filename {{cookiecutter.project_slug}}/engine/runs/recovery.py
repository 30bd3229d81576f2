"""Runs whose worker died are closed by another, or by the next start.

What had been said was checkpointed. It gets its notice, its workflow is closed, and the thread is
free again.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Any

from chatkit.types import (
    CustomTask,
    SDKHiddenContextItem,
    TaskItem,
    ThreadItem,
    WorkflowItem,
)
from pydantic import TypeAdapter
from sqlalchemy import ColumnElement, Row, case, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.context.clock import now
from engine.context.ids import new_id
from engine.context.run import WITH_MESSAGE, is_answer
from engine.database.database import Database, DatabaseUnreachable
from engine.database.rows import IS_RUNNING, ItemRow, RunRow, ThreadRow
from engine.runs.run_store import STALE_SECONDS, RunStore, has_arrived, is_stale
from engine.runs.spent import Spent
from engine.runs.usage import counting_unpriced
from engine.runs.workflow import close_workflow
from engine.store.item_statements import upsert_items
from engine.telemetry.measures import abandoned_answers
from engine.text.locales import ENGLISH, translate

logger = logging.getLogger(__name__)

ROUND_SECONDS = 5.0
# A look that takes this long comes from a database that was paused, and all heartbeats with it.
SLOW_SECONDS = 2.0
RETRY = "threads.retry_after_item"
ACTION = "threads.custom_action"

_ITEM: TypeAdapter[ThreadItem] = TypeAdapter(ThreadItem)


class Recovery:
    def __init__(
        self, database: Database, run_store: RunStore, is_live: Callable[[str, str], bool]
    ) -> None:
        self._database = database
        self._run_store = run_store
        self._is_live = is_live
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_looking())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self.close_abandoned()
            except DatabaseUnreachable:
                # No worker could write its heartbeats: wait for those that are alive.
                await asyncio.sleep(STALE_SECONDS)
            except Exception:
                logger.exception("abandoned runs could not be closed")
            # Not all workers at once.
            await asyncio.sleep(ROUND_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311

    async def close_abandoned(self) -> None:
        """Raises `DatabaseUnreachable`, also when it has only just come back."""
        began = time.monotonic()
        abandoned = await self._run_store.abandoned()
        if time.monotonic() - began > SLOW_SECONDS:
            raise DatabaseUnreachable("The database did not answer for a while.")
        for run in abandoned:
            if self._is_live(run.user_id, run.id):
                continue  # this process is slow, and not dead
            try:
                await self._close(run)
            except DatabaseUnreachable:
                raise
            except Exception:
                # It must not keep the others from being closed.
                logger.exception("run %s was abandoned and cannot be closed", run.id)

    async def _close(self, run: Row[Any]) -> None:
        async with self._database.transaction(run.user_id) as connection:
            if await _take(connection, run, self._run_store.history_tokens):
                await _mark(connection, run)
                abandoned_answers.add(1)
                logger.warning("run %s was abandoned and is closed now", run.id)


def interruption(thread_id: str, locale: str = ENGLISH) -> list[ThreadItem]:
    """The items that tell the user and the model that an answer was interrupted."""
    title = translate("This answer was interrupted. Please try again.", locale)
    task = CustomTask(title=title, icon="info")
    return [
        TaskItem(id=new_id("task"), thread_id=thread_id, created_at=now(), task=task),
        SDKHiddenContextItem(
            id=new_id("sdk_hidden_context"),
            thread_id=thread_id,
            created_at=now(),
            content="The server stopped in the middle of the answer. Do not continue it unasked.",
        ),
    ]


async def _take(connection: AsyncConnection, run: Row[Any], history_tokens: int) -> bool:
    """End it, unless its worker or somebody else was faster. About what it asked and said counts.

    If its message has not been stored, the request may be sent again.
    """
    statement = (
        update(RunRow)
        .where(
            RunRow.user_id == run.user_id,
            RunRow.id == run.id,
            IS_RUNNING,
            is_stale(),
        )
        .values(
            status="interrupted",
            ended_at=func.now(),
            request_key=case((has_arrived(run.user_id), RunRow.request_key)),
            **_spent(run, history_tokens),
        )
    )
    counting = counting_unpriced(statement, run.user_id)
    return (await connection.execute(counting)).first() is not None


def _spent(run: Row[Any], history_tokens: int) -> dict[str, ColumnElement[int]]:
    """The estimated tokens of the run; nothing for an action, which asks no model."""
    if run.request == ACTION:
        return {}
    spent = Spent(run.user_id, run.thread_id, run.start_seq)
    arrived = has_arrived(run.user_id)
    return {
        "tokens_in": case((arrived, spent.asked(history_tokens)), else_=0),
        "tokens_out": case((arrived, spent.said()), else_=0),
    }


async def _mark(connection: AsyncConnection, run: Row[Any]) -> None:
    thread = (
        select(ThreadRow.id)
        .where(ThreadRow.user_id == run.user_id, ThreadRow.id == run.thread_id)
        .with_for_update(key_share=True, read=True)
    )
    if (await connection.execute(thread)).first() is None:
        return
    since = (
        ItemRow.user_id == run.user_id,
        ItemRow.thread_id == run.thread_id,
        ItemRow.seq > run.start_seq,
    )
    rows = await connection.execute(select(ItemRow.payload).where(*since).order_by(ItemRow.seq))
    items = [_ITEM.validate_python(payload) for (payload,) in rows]
    if run.request in WITH_MESSAGE and not items:
        return  # the message has not been stored: there is nothing to answer
    if run.request == RETRY and not any(map(is_answer, items)):
        # The new answer had not begun: the old one stays.
        await connection.execute(delete(ItemRow).where(*since))
        return
    closed = [
        close_workflow(item).item
        for item in items
        if isinstance(item, WorkflowItem) and item.workflow.summary is None
    ]
    await connection.execute(
        upsert_items(run.user_id, run.thread_id, [*closed, *interruption(run.thread_id)])
    )
