"""Tests with files in a temporary folder, uploaded to the application."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from engine.tests.talk import Visitor


@contextmanager
def place(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of an application that stores its files there."""
    yield {"ATTACHMENT_FOLDER": str(folder / "files")}


async def upload(visitor: Visitor, content: bytes, name: str, mime_type: str) -> httpx2.Response:
    """Upload like ChatKit; the body of the response is the attachment."""
    return await visitor.client.post("/attachments", files={"file": (name, content, mime_type)})
