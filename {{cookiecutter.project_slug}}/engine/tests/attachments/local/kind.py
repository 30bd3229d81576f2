"""Files in a folder of the tests' own, uploaded straight to the application."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from engine.tests.talk import Visitor


@contextmanager
def place(folder: Path) -> Iterator[dict[str, str]]:
    """The environment of an application that keeps its files there."""
    yield {"ATTACHMENT_FOLDER": str(folder / "files")}


async def upload(visitor: Visitor, content: bytes, name: str, mime_type: str) -> httpx.Response:
    """As the widget does it; the body of the answer is the attachment."""
    return await visitor.client.post("/attachments", files={"file": (name, content, mime_type)})
