"""Where the bytes are kept, as the rest sees it. One module for each place implements it."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from engine.http.errors import AppError, Unavailable

# Uploads that nobody has looked at yet lie below this, and nothing else does.
INCOMING = "incoming"


class FileGone(Exception):
    """There is no such file (any more)."""


class FilesUnavailable(Unavailable):
    """The place is full, read-only, misconfigured or cannot be reached."""

    code = "files_unavailable"

    def __init__(self) -> None:
        super().__init__("Files cannot be stored or read right now.")


class FilesLeft(FilesUnavailable):
    """The place is there, and refuses to delete these: keys, and the reason of each."""

    def __init__(self, left: Mapping[str, str]) -> None:
        super().__init__()
        self.left = left

    @property
    def reasons(self) -> str:
        return "; ".join(sorted(set(self.left.values())))


class FileTooLarge(AppError):
    status = 413
    code = "file_too_large"


class FileStore(Protocol):
    """Files under keys of ours, `owner/id`. All of it raises `FilesUnavailable`."""

    async def put(self, key: str, content: BinaryIO, mime_type: str) -> None:
        """Store all of it or nothing."""

    async def read(self, key: str) -> bytes:
        """Raises `FileGone`."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete all that can be. What is not there is no error; raises `FilesLeft` for others."""

    async def locate(self, key: str, mime_type: str, disposition: str, seconds: int) -> Path | str:
        """The file, or a URL that leads a browser to it for so long. Raises `FileGone`."""

    def older_than(self, moment: datetime) -> AsyncIterator[list[str]]:
        """The keys of all files last written before, in pages."""

    async def close(self) -> None: ...


def key_of(user_id: str, attachment_id: str) -> str:
    """A user id may hold anything, and is nobody's business who sees the key."""
    return f"{owner_part(user_id)}/{attachment_id}"


def owner_part(user_id: str) -> str:
    return hashlib.sha256(user_id.encode()).hexdigest()
