"""A run: one streamed answer in this process."""

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from chatkit.types import (
    AssistantMessageItem,
    HiddenContextItem,
    SDKHiddenContextItem,
    ThreadItem,
    WidgetItem,
    WorkflowItem,
)

from engine.database.use import Use
from engine.text.tokens import BYTES_PER_TOKEN

# The requests that contain a message of the user.
WITH_MESSAGE = ("threads.create", "threads.add_user_message")

Status = Literal["running", "done", "stopped", "failed", "interrupted"]


@dataclass(frozen=True)
class Retry:
    """A retry. The old answer is the items with `after_seq < seq <= last_seq`.

    None of them is older than `asked_at`, when the user's message was stored.
    """

    after_seq: int
    last_seq: int
    asked_at: datetime


class Run:
    """The state that the turn, the client's connection and the checkpoints share.

    `has_unsaved_items` is true after a write failed.

    `drafts` are the items that have begun and not ended, oldest first. Code that takes one out to
    save it whole holds `writing`, so that no checkpoint writes a part of it afterwards.
    """

    def __init__(self, run_id: str, user_id: str, thread_id: str, request: str) -> None:
        self.id = run_id
        self.user_id = user_id
        self.thread_id = thread_id
        self.request = request
        self.model = ""
        self.instructions_hash: str | None = None
        self.tools_hash: str | None = None
        self.address: str | None = None
        self.retry: Retry | None = None

        self.began = time.perf_counter()
        self.has_first_word = False
        self.status: Status = "running"
        self.brings_thread = request == "threads.create"
        self.has_begun = request not in WITH_MESSAGE
        self.complete = False
        self.answered = False
        self._cut_tokens = 0
        self.left = False
        self.disconnected = False
        self.has_unsaved_items = False
        self.use: dict[str, Use] = {}

        self.drafts: dict[str, ThreadItem] = {}
        self.writing = asyncio.Lock()
        self._changed: set[str] = set()

        self.chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.closed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    @property
    def is_running(self) -> bool:
        return self.status == "running"

    @property
    def can_be_stopped(self) -> bool:
        """Its client disconnected without a leave command, or it is being cut already."""
        return not self.is_running or (self.disconnected and not self.left)

    def begin(self) -> None:
        """Called when the message is stored. Raises `CancelledError` if the run was cut before."""
        self.has_begun = True
        if not self.is_running:
            raise asyncio.CancelledError

    def cut(self, status: Literal["stopped", "interrupted"]) -> None:
        """End it where it stands. What has been said is stored before its task is over.

        Storing the user's message is completed first: a write that is cancelled may have happened
        all the same.
        """
        if self.is_running:
            self.status = status
            assert self.task is not None
            if self.has_begun:
                self.task.cancel()

    def leave(self) -> None:
        """Go on without a client; a connection that is still open is ended."""
        self.left = True
        while not self.chunks.empty():
            self.chunks.get_nowait()
        self.chunks.put_nowait(None)
        self.closed.set()

    def add_use(self, model: str, use: Use) -> None:
        self.use[model] = self.use.get(model, Use()) + use

    @property
    def used(self) -> Use:
        """Of all models together."""
        return sum(self.use.values(), Use())

    def send(self, chunk: bytes | None) -> None:
        if not self.left:
            self.chunks.put_nowait(chunk)
            if chunk is None:
                self.closed.set()

    @property
    def has_changed(self) -> bool:
        return not self._changed.isdisjoint(self.drafts)

    def touch(self, item_id: str) -> None:
        """The draft has changed since it was taken, or that state could not be written."""
        if item_id in self.drafts:
            self._changed.add(item_id)

    def changed_drafts(self) -> list[ThreadItem]:
        """Those that changed since they were taken, oldest first."""
        return [item for item in self.drafts.values() if item.id in self._changed]

    def take_draft(self, item_id: str) -> None:
        """Its state of now is about to be written."""
        self._changed.discard(item_id)

    async def finish_draft(self, item_id: str) -> None:
        """Remove a draft that is about to be saved completely, or withdrawn."""
        async with self.writing:
            self.drafts.pop(item_id, None)

    async def finish_drafts(self) -> None:
        async with self.writing:
            self._cut_tokens = self.cut_tokens
            self.drafts.clear()

    @property
    def cut_tokens(self) -> int:
        """The estimated number of tokens of the unfinished answers."""
        bytes_said = sum(_text_bytes(item) for item in self.said())
        return self._cut_tokens + bytes_said // BYTES_PER_TOKEN

    def unfinished(self) -> list[ThreadItem]:
        """The items that the user has seen and that are not finished."""
        return [i for i in self.drafts.values() if has_text(i) or isinstance(i, WidgetItem)]

    def said(self) -> Iterator[ThreadItem]:
        """The unfinished answers that have text."""
        return (item for item in self.drafts.values() if has_text(item))


def is_answer(item: ThreadItem) -> bool:
    """False for items that precede an answer: workflows and hidden context."""
    return not isinstance(item, WorkflowItem | HiddenContextItem | SDKHiddenContextItem)


def has_text(item: ThreadItem) -> bool:
    return isinstance(item, AssistantMessageItem) and any(
        part.text.strip() for part in item.content
    )


def _text_bytes(item: ThreadItem) -> int:
    assert isinstance(item, AssistantMessageItem)
    return sum(len(part.text.encode()) for part in item.content)
