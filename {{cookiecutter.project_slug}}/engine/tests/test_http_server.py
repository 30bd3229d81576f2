"""Requests that do not end, to a server that is started with the image's command line."""

import asyncio
import itertools
import sys

import pytest

from engine.operate.server_options import HTTP, MAX_HEADER_BYTES
from engine.settings.settings import Settings
from engine.tests.talk import Visitor
from engine.tests.workers import server_command, working

MAX_SENT_BYTES = 16_000_000
HEADERS = b"X: a\r\n" * 10_000
ENDLESS = {
    "a header": (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"a" * 65_536),
    "many headers": (b"GET / HTTP/1.1\r\nHost: x\r\n", HEADERS),
    "an address": (b"GET /", b"a" * 65_536),
    "a chunk's extension": (
        b"POST /chatkit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;",
        b"a" * 65_536,
    ),
}


@pytest.mark.skipif(sys.platform == "win32", reason="starts workers by forking")
async def test_a_head_without_end_is_closed_and_one_that_ends_is_read(settings: Settings) -> None:
    async with working(settings) as (_, visitor):
        for name, (beginning, more) in ENDLESS.items():
            assert await sent_until_closed(visitor, beginning, more) < MAX_SENT_BYTES, name
        found = await visitor.client.get("/healthz", headers={"X": "a" * 32_000})
    assert found.status_code == 200


async def sent_until_closed(visitor: Visitor, beginning: bytes, more: bytes) -> int:
    """How many bytes the server took before it closed the connection, or more than it may."""
    url = visitor.client.base_url
    _, writer = await asyncio.open_connection(url.host, url.port)
    sent = 0
    try:
        writer.write(beginning)
        while sent < MAX_SENT_BYTES:
            writer.write(more)
            await writer.drain()
            sent += len(more)
    except ConnectionError:
        return sent
    finally:
        writer.close()
    return sent


def test_the_image_and_development_read_http_alike() -> None:
    command = server_command("app", 1)
    options = dict(itertools.pairwise(command))
    assert options["--http"] == HTTP["http"]
    assert options["--h11-max-incomplete-event-size"] == str(MAX_HEADER_BYTES)
