"""Replaces links to pictures with `data:` URLs, if ChatKit's frame cannot load the links.

The frame is a page of a public site, and browsers do not let such pages load anything from a
loopback or private address (Private Network Access).
"""

import asyncio
import base64
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from engine.attachments.files import FileGone, FilesUnavailable
from engine.attachments.links import Link, Links
from engine.attachments.types import IMAGES
from engine.http.errors import NotFound

# The limit for all pictures in one response, because a page of history can contain many.
MAX_TOTAL_BYTES = 16_000_000
PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")

# The placeholder for a picture that is too large or cannot be read.
NO_PREVIEW = b"data:image/svg+xml;base64," + base64.b64encode(
    b'<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96" viewBox="0 0 24 24" '
    b'fill="none" stroke="#888" stroke-width="1.5"><rect x="3" y="4" width="18" height="16" rx="2"/>'
    b'<path d="m3 17 5-5 4 4 3-3 6 6"/></svg>'
)

Read = Callable[[Link], Awaitable[bytes]]


def is_private(url: str) -> bool:
    """True if the host's name or address belongs to this machine or to a private network."""
    try:
        host = (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return False
    try:
        return not ip_address(host).is_global
    except ValueError:
        return "." not in host or host.endswith(PRIVATE_NAMES)


@dataclass
class InlinePictures:
    """Replaces our own links in JSON with the pictures, of at most `limit` bytes each."""

    base: str
    links: Links
    read: Read
    limit: int

    async def each(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in chunks:
            try:
                inlined = await self.within(chunk)
            except asyncio.CancelledError as cancelled:
                await chunks.athrow(cancelled)  # the turn then stores its text so far
                raise
            yield inlined

    async def within(self, json: bytes) -> bytes:
        """The JSON with `data:` URLs in place of links to pictures."""
        start = re.escape(f"{self.base}/attachments/".encode())
        pattern = re.compile(rb'("(?:preview_)?url":")' + start + rb"([\w.~-]+)")
        parts: list[bytes] = []
        end, room = 0, MAX_TOTAL_BYTES
        for found in pattern.finditer(json):
            picture = await self._picture(found[2].decode(), room)
            parts += [json[end : found.start()], found[1], picture]
            end, room = found.end(), room - len(picture)
        return b"".join([*parts, json[end:]])

    async def _picture(self, token: str, room: int) -> bytes:
        """A `data:` URL of at most about `room` bytes."""
        try:
            link = self.links.open(token)
            content = await self.read(link) if link.mime_type in IMAGES else b""
        except (NotFound, FileGone, FilesUnavailable):
            return NO_PREVIEW
        if not 0 < len(content) <= min(self.limit, room * 3 // 4):
            return NO_PREVIEW
        return f"data:{link.mime_type};base64,".encode() + base64.b64encode(content)
