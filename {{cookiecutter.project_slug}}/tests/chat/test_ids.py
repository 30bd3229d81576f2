"""One id for each item, whatever the provider calls it."""

import itertools
import time
from collections.abc import AsyncIterator
from datetime import datetime

import pytest
from chatkit.store import StoreItemType
from chatkit.types import (
    AssistantMessageContent,
    AssistantMessageItem,
    ThreadItemAddedEvent,
    ThreadItemDoneEvent,
    ThreadItemRemovedEvent,
    ThreadStreamEvent,
)

from app.chat.context import RequestContext
from app.chat.events import MintedIds
from app.chat.ids import new_id
from app.chat.store import SqlStore
from app.db import Database

ANSWER = AssistantMessageItem(
    id="__fake_id__",
    thread_id="thr_1",
    created_at=datetime(2026, 1, 2),  # noqa: DTZ001
    content=[AssistantMessageContent(text="x")],
)
ADDED = ThreadItemAddedEvent(item=ANSWER)
DONE = ThreadItemDoneEvent(item=ANSWER)


async def minted(*events: ThreadStreamEvent) -> list[str]:
    """What comes out, as `type id`; the ids count up."""
    numbers = itertools.count(1)

    def counting(_type: StoreItemType) -> str:
        return str(next(numbers))

    async def source() -> AsyncIterator[ThreadStreamEvent]:
        for event in events:
            yield event

    return [_line(event) async for event in MintedIds(counting).mint(source())]


def _line(event: ThreadStreamEvent) -> str:
    match event:
        case ThreadItemAddedEvent(item=item) | ThreadItemDoneEvent(item=item):
            return f"{event.type.rsplit('.')[-1]} {item.id}"
        case ThreadItemRemovedEvent(item_id=item_id):
            return f"removed {item_id}"
    raise AssertionError(event)


async def test_an_answer_that_is_done_without_having_been_added_gets_an_id_too() -> None:
    assert await minted(DONE, DONE) == ["done 1", "done 2"]
    assert await minted(ADDED, DONE, DONE) == ["added 1", "done 1", "done 2"]


async def test_a_removal_takes_back_everything_that_had_the_providers_id() -> None:
    removed = ThreadItemRemovedEvent(item_id=ANSWER.id)
    assert await minted(ADDED, DONE, ADDED, DONE, removed) == [
        "added 1",
        "done 1",
        "added 2",
        "done 2",
        "removed 1",
        "removed 2",
    ]


async def test_a_removal_of_what_is_not_an_answer_passes() -> None:
    assert await minted(ThreadItemRemovedEvent(item_id="wf_1")) == ["removed wf_1"]


def test_a_thread_has_a_full_id(database: Database) -> None:
    thread_id = SqlStore(database).generate_thread_id(RequestContext("someone"))
    assert thread_id.startswith("thr_")
    assert len(thread_id) == 36


def test_an_id_begins_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 0x018BCFE56800 * 1_000_000)
    assert new_id("message").startswith("msg_018bcfe568007")
