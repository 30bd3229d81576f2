"""Summaries of a model's reasoning, as thought tasks of the workflow."""

import re
import time
from collections.abc import Awaitable, Callable
from typing import Any

from chatkit.types import Task, ThoughtTask

# How often a thought is told while it grows.
UPDATE_SECONDS = 1.0
MAX_THOUGHT_CHARS = 4_000

_HEADING = re.compile(r"\s*\*\*([^*\n]{1,200})\*\*\s*")

AddTask = Callable[[str, Task], Awaitable[None]]


class ThoughtTasks:
    """Turns the summaries of reasoning items into tasks. `add` and `update` tell them."""

    def __init__(self, add: AddTask, update: AddTask) -> None:
        self._add = add
        self._update = update
        self._number = 0
        self._told_of_item = 0
        self._text = ""
        self._is_open = False
        self._told_at = 0.0

    async def follow(self, data: Any) -> bool:
        """Take an event of the model's; false for one that is of no thought."""
        match data.type:
            case "response.reasoning_summary_text.delta":
                await self._grow(str(data.delta or ""))
            case "response.reasoning_summary_text.done":
                await self._finish(str(data.text or ""))
            case "response.output_item.added" if data.item.type == "reasoning":
                self._told_of_item = 0
            case "response.output_item.done" if data.item.type == "reasoning":
                await self._tell_rest(data.item)
            case kind if not kind.startswith("response.reasoning_"):
                await self.close()
                return False
        return True

    async def close(self) -> None:
        """The model goes on to something else."""
        if self._is_open:
            await self._finish(self._text)

    async def _grow(self, delta: str) -> None:
        self._text += delta
        if not self._text.strip():
            return
        if not self._is_open:
            self._is_open = True
            self._number += 1
            self._told_at = time.monotonic()
            await self._add(self._key, _task(self._text, "loading"))
        elif time.monotonic() - self._told_at >= UPDATE_SECONDS:
            self._told_at = time.monotonic()
            await self._update(self._key, _task(self._text, "loading"))

    async def _finish(self, text: str) -> None:
        self._text = text if text.strip() else self._text
        if not self._is_open:
            await self._grow("")
        if self._is_open:
            self._told_of_item += 1
            await self._update(self._key, _task(self._text, "complete"))
        self._is_open, self._text = False, ""

    async def _tell_rest(self, item: Any) -> None:
        """Those that came with the finished item alone."""
        await self.close()
        for part in list(item.summary or ())[self._told_of_item :]:
            await self._finish(str(getattr(part, "text", "") or ""))

    @property
    def _key(self) -> str:
        return f"thought {self._number}"


def _task(text: str, status: Any) -> ThoughtTask:
    title, content = None, text[:MAX_THOUGHT_CHARS]
    if heading := _HEADING.match(content):
        title, content = heading[1], content[heading.end() :]
    return ThoughtTask(title=title, content=content, status_indicator=status)
