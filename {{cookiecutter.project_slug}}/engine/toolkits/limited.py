"""Runs a function in a process of its own, whose time and memory are limited.

A file may be built to take all memory of whoever reads it. On Linux its reader fails at the limit;
Windows and macOS have no such limit for a process, and only the time is limited there.

The process gets no secrets of the environment, and gives back nothing but JSON: nothing that a
library was tricked into comes along.
"""

import asyncio
import json
import os
import pickle
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PROJECT_ROOT = Path(__file__).resolve().parents[2]
OUT_OF_MEMORY = 70
# What Python needs to start, on any system.
ENVIRONMENT = ("PATH", "SYSTEMROOT", "TEMP", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "PYTHONUTF8")


class LimitExceeded(Exception):
    """The message says which limit, in a few words."""


async def run_limited(
    function: Callable[..., Any], *arguments: Any, seconds: float, memory_bytes: int
) -> Any:
    """What the function returns, which has to be JSON. It is one of a module.

    Raises `LimitExceeded`, also when the function raises anything.
    """
    order = pickle.dumps((memory_bytes, function, arguments))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine.toolkits.limited"),
        cwd=PROJECT_ROOT,
        env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # (a library may quote what people wrote)
    )
    try:
        async with asyncio.timeout(seconds):
            answer, _ = await process.communicate(order)
    except TimeoutError:
        raise LimitExceeded("it takes too long to read") from None
    finally:
        await _end(process)
    if process.returncode == 0:
        return json.loads(answer)
    if process.returncode == 1:
        raise LimitExceeded("it cannot be read")
    raise LimitExceeded("it takes too much memory to read")


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _run(order: bytes) -> bytes:
    memory_bytes, function, arguments = pickle.loads(order)  # noqa: S301 — (of `run_limited`)
    _limit_memory(memory_bytes)
    try:
        return json.dumps(function(*arguments)).encode()
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def _limit_memory(memory_bytes: int) -> None:
    """(RLIMIT_DATA is what is written to, and leaves out the code of libraries.)"""
    if sys.platform != "linux":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


if __name__ == "__main__":
    # Whatever prints something meanwhile does not mix with the answer.
    output = os.dup(1)
    os.dup2(2, 1)
    answer = _run(sys.stdin.buffer.read())
    with open(output, "wb") as stdout:
        stdout.write(answer)
