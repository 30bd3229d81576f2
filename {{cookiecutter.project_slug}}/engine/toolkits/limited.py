"""Runs a function in a separate process with limited time and memory.

A malicious file can make its reader use all memory. On Linux the process fails at the memory limit;
Windows and macOS have no such limit for a process, so only the time is limited there.

The process gets no secrets from the environment, and its result is read as JSON and not unpickled,
so that a compromised process cannot run code in the application.
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
# The variables that Python needs to start on any system.
ENVIRONMENT = ("PATH", "SYSTEMROOT", "TEMP", "TMPDIR", "LANG", "LD_LIBRARY_PATH", "PYTHONUTF8")


class LimitExceeded(Exception):
    """A limit was exceeded; the message says which, in a few words."""


async def run_limited(
    function: Callable[..., Any], *arguments: Any, seconds: float, memory_bytes: int
) -> Any:
    """Run a function of a module, and return its result, which must be JSON.

    Raises `LimitExceeded`, also if the function raises any error.
    """
    request = pickle.dumps((memory_bytes, function, arguments))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "engine.toolkits.limited"),
        cwd=PROJECT_ROOT,
        env={name: os.environ[name] for name in ENVIRONMENT if name in os.environ},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,  # libraries may print content of the document
    )
    try:
        async with asyncio.timeout(seconds):
            answer, _ = await process.communicate(request)
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


def _run(request: bytes) -> bytes:
    memory_bytes, function, arguments = pickle.loads(request)  # noqa: S301 — written by `run_limited`
    _limit_memory(memory_bytes)
    try:
        return json.dumps(function(*arguments)).encode()
    except MemoryError:
        os._exit(OUT_OF_MEMORY)


def _limit_memory(memory_bytes: int) -> None:
    """RLIMIT_DATA limits writable memory, which excludes the code of libraries."""
    if sys.platform != "linux":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


if __name__ == "__main__":
    # Output of print() goes to stderr, so that it does not mix with the result.
    output = os.dup(1)
    os.dup2(2, 1)
    answer = _run(sys.stdin.buffer.read())
    with open(output, "wb") as stdout:
        stdout.write(answer)
