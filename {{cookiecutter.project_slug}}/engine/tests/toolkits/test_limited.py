"""Processes with limited time and memory."""

import os
import sys
import time

import pytest

from engine.toolkits.limited import LimitExceeded, run_limited

MEMORY_BYTES = 100_000_000


def double(number: int) -> int:
    print("This is not the result.")  # noqa: T201
    return 2 * number


def fail() -> None:
    raise KeyError("its own")


def fill(megabytes: int) -> int:
    return len(b"x" * megabytes * 1_000_000)


def secret() -> str | None:
    return os.environ.get("SECRET_KEY")


async def test_the_result_is_returned() -> None:
    assert await run_limited(double, 21, seconds=60, memory_bytes=MEMORY_BYTES) == 42


@pytest.mark.skipif(sys.platform != "linux", reason="no memory limit on this platform")
async def test_memory_is_limited() -> None:
    assert await run_limited(fill, 20, seconds=60, memory_bytes=MEMORY_BYTES)
    with pytest.raises(LimitExceeded, match="too much memory"):
        await run_limited(fill, 150, seconds=60, memory_bytes=MEMORY_BYTES)


@pytest.mark.parametrize("end", [fail, os.abort])
async def test_a_process_that_crashes(end: object) -> None:
    with pytest.raises(LimitExceeded):
        await run_limited(end, seconds=60, memory_bytes=MEMORY_BYTES)  # type: ignore[arg-type]


async def test_time_is_limited() -> None:
    begun = time.monotonic()
    with pytest.raises(LimitExceeded, match="takes too long"):
        await run_limited(time.sleep, 120, seconds=0.5, memory_bytes=MEMORY_BYTES)
    assert time.monotonic() - begun < 60


async def test_it_gets_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "geheim")
    assert await run_limited(secret, seconds=60, memory_bytes=MEMORY_BYTES) is None
