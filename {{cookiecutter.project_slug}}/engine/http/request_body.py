"""Reads the body of a request with limits of size and time.

FastAPI's `max_body_size` limits the size alone; a body that trickles in would keep its connection.
"""

import asyncio
import time
from collections.abc import AsyncGenerator

from fastapi import Request

from engine.http.errors import RequestTimedOut, RequestTooLarge
from engine.text.locales import Translatable

# The time between two chunks of a body, and for the whole body. An upload may take longer.
IDLE_SECONDS = 20.0
BODY_SECONDS = 60.0


async def read_body(request: Request, limit: int) -> bytes:
    """The whole body. Raises `RequestTooLarge` for more than `limit` bytes, and
    `RequestTimedOut` when it does not arrive in time.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large(limit)
    body = bytearray()
    async for chunk in timed_chunks(request, BODY_SECONDS):
        body += chunk
        if len(body) > limit:
            raise too_large(limit)
    return bytes(body)


async def timed_chunks(request: Request, seconds: float) -> AsyncGenerator[bytes, None]:
    """The chunks of the body. Raises `RequestTimedOut` if they stall or take over `seconds`."""
    deadline = time.monotonic() + seconds
    chunks = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(min(IDLE_SECONDS, deadline - time.monotonic())):
                chunk = await anext(chunks)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise RequestTimedOut("The request did not arrive in time.") from None
        yield chunk


def too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(
        Translatable(
            "A request has at most {count} byte.",
            "A request has at most {count} bytes.",
            count=limit,
        )
    )
