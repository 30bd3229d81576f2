"""Carries out what users set off in widgets."""

import asyncio
from typing import Any

from chatkit.actions import Action
from chatkit.types import WidgetItem

from engine.context.request_context import RequestContext
from engine.database.database import Database
from engine.http.errors import InvalidRequest
from engine.store.store import SqlStore
from engine.text.locales import translate
from engine.tools.actions import WidgetAction
from engine.tools.services import ToolRefusal
from engine.tools.toolset import Toolset


class Actions:
    def __init__(self, database: Database, store: SqlStore, toolset: Toolset) -> None:
        self._toolset = toolset
        self._database = database
        self._store = store
        self._under_way: set[asyncio.Task[WidgetItem]] = set()

    async def perform(
        self, action: Action[str, Any], widget: WidgetItem, context: RequestContext
    ) -> WidgetItem:
        """The changed widget. An action that has begun is completed, also if its client disconnects.

        Raises `InvalidRequest`.
        """
        task = asyncio.create_task(self._perform(action, widget, context))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for what is under way."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _perform(
        self, action: Action[str, Any], widget: WidgetItem, context: RequestContext
    ) -> WidgetItem:
        tool = self._toolset.with_action(action.type)
        pressed = WidgetAction(
            action.payload, widget, self._database, context.user_id, context.locale
        )
        try:
            shown = await tool.actions[action.type](pressed)
        except ToolRefusal as refusal:
            words = translate(refusal.message, context.locale)
            raise InvalidRequest(words) from None
        item = widget.model_copy(update={"widget": shown.widget, "copy_text": shown.text})
        # The run may have ended, because its client disconnected; the result is stored all the same.
        await self._store.save_item(widget.thread_id, item, context, after_run_end=True)
        return item
