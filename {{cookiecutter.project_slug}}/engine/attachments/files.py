"""The interface to the store of files, which one module for each kind of store implements."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from engine.http.errors import AppError, Unavailable

# The folder for uploads that have not been checked yet.
INCOMING = "incoming"


class FileGone(Exception):
    """The file does not exist, or does not exist any more."""


class FilesUnavailable(Unavailable):
    """The store is full, read-only, misconfigured or cannot be reached."""

    code = "files_unavailable"

    def __init__(self) -> None:
        super().__init__("Files cannot be stored or read right now.")


class FilesLeft(FilesUnavailable):
    """The store did not delete some files. `left` maps their keys to the reasons."""

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
    """Stores files under keys of the form `owner/id`. Every method may raise `FilesUnavailable`."""

    async def put(self, key: str, content: BinaryIO, mime_type: str) -> None:
        """Store the whole file, or raise and store nothing."""

    async def read(self, key: str) -> bytes:
        """The content. Raises `FileGone`."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete these files; missing ones are ignored. Raises `FilesLeft` for the rest."""

    async def locate(self, key: str, mime_type: str, disposition: str, seconds: int) -> Path | str:
        """The file's path, or a URL for browsers that is valid for `seconds`. Raises `FileGone`."""

    def older_than(self, moment: datetime) -> AsyncIterator[list[str]]:
        """The keys of all files that were last written before `moment`, in pages."""

    async def within(self, folder: str) -> list[str]:
        """The keys of all files in this folder of keys."""

    async def close(self) -> None: ...


def key_of(user_id: str, attachment_id: str) -> str:
    """The key contains a hash of the user id, which may be personal or hold any character."""
    return f"{owner_part(user_id)}/{attachment_id}"


def owner_part(user_id: str) -> str:
    return hashlib.sha256(user_id.encode()).hexdigest()
