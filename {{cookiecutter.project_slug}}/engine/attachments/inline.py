"""Pictures inside the answers to the widget, where its frame could not load them.

The frame is a page of a public site, and browsers let such pages load nothing from a loopback or
private address (Private Network Access). There a picture travels as a `data:` URL.
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

# The most that one answer carries of pictures: what a page of history holds may be many.
MAX_TOTAL_BYTES = 16_000_000
PRIVATE_NAMES = (".localhost", ".local", ".internal", ".lan", ".home.arpa")

# Shown instead of a picture that is too large to travel or cannot be read: a frame with a hill.
NO_PREVIEW = b"data:image/svg+xml;base64," + base64.b64encode(
    b'<svg xmlns="http://www.w3.org/2000/svg" width="96" height="96" viewBox="0 0 24 24" '
    b'fill="none" stroke="#888" stroke-width="1.5"><rect x="3" y="4" width="18" height="16" rx="2"/>'
    b'<path d="m3 17 5-5 4 4 3-3 6 6"/></svg>'
)

Read = Callable[[Link], Awaitable[bytes]]


def is_private(url: str) -> bool:
    """Whether the host is of this machine or of a private network, as far as its name tells."""
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
    """Replaces our own links in JSON by what they lead to. `limit` bytes a picture has at most."""

    base: str
    links: Links
    read: Read
    limit: int

    async def each(self, chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        async for chunk in chunks:
            try:
                seen = await self.within(chunk)
            except asyncio.CancelledError as stop:
                await chunks.athrow(stop)  # it stores what was said so far
                raise
            yield seen

    async def within(self, json: bytes) -> bytes:
        """The same, with pictures instead of links to them."""
        start = re.escape(f"{self.base}/attachments/".encode())
        place = re.compile(rb'("(?:preview_)?url":")' + start + rb"([\w.~-]+)")
        parts: list[bytes] = []
        end, room = 0, MAX_TOTAL_BYTES
        for found in place.finditer(json):
            picture = await self._picture(found[2].decode(), room)
            parts += [json[end : found.start()], found[1], picture]
            end, room = found.end(), room - len(picture)
        return b"".join([*parts, json[end:]])

    async def _picture(self, token: str, room: int) -> bytes:
        """A `data:` URL of at most about so many bytes."""
        try:
            link = self.links.open(token)
            content = await self.read(link) if link.mime_type in IMAGES else b""
        except (NotFound, FileGone, FilesUnavailable):
            return NO_PREVIEW
        if not 0 < len(content) <= min(self.limit, room * 3 // 4):
            return NO_PREVIEW
        return f"data:{link.mime_type};base64,".encode() + base64.b64encode(content)
