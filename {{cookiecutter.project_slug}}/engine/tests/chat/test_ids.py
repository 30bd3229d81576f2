"""The ids of the store have 128 bits and are ordered by time."""

import time

import pytest

from engine.context.ids import new_id
from engine.context.request_context import RequestContext
from engine.database.database import Database
from engine.store.store import SqlStore


def test_a_thread_has_a_full_id(database: Database) -> None:
    thread_id = SqlStore(database).generate_thread_id(RequestContext("someone"))
    assert thread_id.startswith("thr_")
    assert len(thread_id) == 36


def test_an_id_begins_with_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time_ns", lambda: 0x018BCFE56800 * 1_000_000)
    assert new_id("message").startswith("msg_018bcfe568007")
