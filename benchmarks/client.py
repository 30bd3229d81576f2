"""A minimal HTTP/1.1 client, so that its own CPU time does not distort the results.

One connection, one request at a time. A general client uses about as much CPU time for a streamed
event as the servers do, and the machine may have only two cores.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

LIMIT = 4 * 1024 * 1024


class Connection:
    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self._port = port
        self._fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())

    async def open(self) -> "Connection":
        self._reader, self._writer = await asyncio.open_connection(
            "127.0.0.1", self._port, limit=LIMIT
        )
        return self

    def close(self) -> None:
        self._writer.close()

    async def ask(self, request: dict[str, Any]) -> Any:
        """The response to a request without streaming, as JSON."""
        await self._send(request)
        return json.loads(b"".join([chunk async for chunk in self._body()]))

    async def ask_raw(self, body: bytes) -> bytes:
        """The response without parsing JSON, for benchmarks with many requests."""
        self._write(body)
        return b"".join([chunk async for chunk in self._body()])

    async def stream(self, request: dict[str, Any]) -> AsyncIterator[bytes]:
        """The chunks of a stream as they arrive. A chunk holds complete events, or a comment."""
        await self._send(request)
        async for chunk in self._body():
            for line in chunk.split(b"\n"):
                if line.startswith(b"data: "):
                    yield line

    async def _send(self, request: dict[str, Any]) -> None:
        self._write(json.dumps(request).encode())

    def _write(self, body: bytes) -> None:
        head = (
            f"POST /chatkit HTTP/1.1\r\nHost: 127.0.0.1\r\n{self._fields}"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)

    async def _body(self) -> AsyncIterator[bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode().lower()
        if not head.startswith("http/1.1 200"):
            raise RuntimeError(f"not answered: {head} {await self._reader.read(1000)!r}")
        if "transfer-encoding: chunked" not in head:
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            yield await self._reader.readexactly(length)
            return
        while size := int(await self._reader.readline(), 16):
            yield (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()


@asynccontextmanager
async def connected(port: int, headers: dict[str, str]) -> AsyncIterator[Connection]:
    connection = await Connection(port, headers).open()
    try:
        yield connection
    finally:
        connection.close()


def message(text: str) -> dict[str, Any]:
    return {
        "content": [{"type": "input_text", "text": text}],
        "attachments": [],
        "inference_options": {},
    }


def new_thread(text: str) -> dict[str, Any]:
    return {"type": "threads.create", "params": {"input": message(text)}}


def add_message(thread_id: str, text: str) -> dict[str, Any]:
    params = {"thread_id": thread_id, "input": message(text)}
    return {"type": "threads.add_user_message", "params": params}
