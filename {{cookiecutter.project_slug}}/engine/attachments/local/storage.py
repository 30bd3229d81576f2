"""Stores files in a folder; browsers upload them to this application.

If the application runs on several machines, they need a shared folder.
"""

import asyncio
import logging
import os
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from uuid import uuid4

from fastapi import APIRouter
from pydantic_settings import SettingsConfigDict

from engine.attachments.files import INCOMING, FileGone, FilesLeft, FilesUnavailable
from engine.attachments.local.upload import UPLOAD_PATH, upload_routes
from engine.attachments.routes import link_routes
from engine.attachments.service import FileAttachments
from engine.auth.base import Authenticator
from engine.auth.current import signed_in_by
from engine.database.database import Database
from engine.settings.settings import PROJECT_ROOT, EnvSettings, Settings

logger = logging.getLogger(__name__)

PAGE = 1_000
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class LocalSettings(EnvSettings):
    model_config = SettingsConfigDict(env_prefix="ATTACHMENT_")

    folder: Path = Path(".data/attachments")


class LocalAttachments(FileAttachments):
    name = "local"
    upload_strategy: Mapping[str, str] = {"type": "direct", "uploadUrl": UPLOAD_PATH[1:]}

    def __init__(self, settings: Settings, database: Database, more_types: Sequence[str]) -> None:
        super().__init__(
            settings, database, more_types, LocalFiles(PROJECT_ROOT / LocalSettings().folder)
        )

    def routes(self, authenticator: Authenticator) -> Sequence[APIRouter]:
        return link_routes(self, authenticator), upload_routes(self, signed_in_by(authenticator))


class LocalFiles:
    """Accesses the disk in threads, because it may be slow and would block the event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, content: BinaryIO, mime_type: str) -> None:
        await asyncio.to_thread(self._put, key, content)

    async def read(self, key: str) -> bytes:
        return await asyncio.to_thread(self._read, key)

    async def delete(self, keys: Sequence[str]) -> None:
        await asyncio.to_thread(self._delete, keys)

    async def locate(self, key: str, mime_type: str, disposition: str, seconds: int) -> Path:
        path = self._path(key)
        if not await asyncio.to_thread(path.is_file):
            raise FileGone(key)
        return path

    async def older_than(self, moment: datetime) -> AsyncIterator[list[str]]:
        old = await asyncio.to_thread(lambda: list(self._older_than(moment.timestamp())))
        for start in range(0, len(old), PAGE):
            yield old[start : start + PAGE]

    async def within(self, folder: str) -> list[str]:
        def find() -> list[str]:
            found = (file for file in self._path(folder).glob("*") if file.is_file())
            return [file.relative_to(self._folder).as_posix() for file in found]

        return await asyncio.to_thread(find)

    async def close(self) -> None:
        pass

    def _put(self, key: str, content: BinaryIO) -> None:
        """Write to a temporary file and rename it, so that no incomplete file is ever read."""
        target_path, temporary_path = self._path(key), self._path(f"{INCOMING}/{uuid4().hex}")
        with _reporting_errors():
            self._make_folder(temporary_path.parent)
            try:
                with os.fdopen(os.open(temporary_path, CREATE, 0o600), "wb") as target:
                    shutil.copyfileobj(content, target)
                    target.flush()
                    os.fsync(target.fileno())
                self._move(temporary_path, target_path)
            except OSError:
                temporary_path.unlink(missing_ok=True)
                raise

    def _move(self, source: Path, target: Path) -> None:
        """Again if the owner's last file was deleted meanwhile, and the folder with it."""
        while True:
            self._make_folder(target.parent)
            try:
                source.replace(target)
            except FileNotFoundError:
                if not source.exists():
                    raise
            else:
                return

    def _make_folder(self, folder: Path) -> None:
        """Create the folder with mode 0700; `mkdir` applies the mode only to the last folder."""
        for path in (self._folder, folder):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    def _read(self, key: str) -> bytes:
        with _reporting_errors():
            try:
                return self._path(key).read_bytes()
            except FileNotFoundError:
                raise FileGone(key) from None

    def _delete(self, keys: Sequence[str]) -> None:
        """An owner's folder is deleted with the last file in it."""
        left = {}
        for key in keys:
            try:
                self._path(key).unlink(missing_ok=True)
            except OSError as error:
                left[key] = error.strerror or type(error).__name__
        for folder in {self._path(key).parent for key in keys}:
            if folder not in (self._folder, self._folder / INCOMING):
                with suppress(OSError):  # it is gone, or has files
                    folder.rmdir()
        if left:
            raise FilesLeft(left)

    def _older_than(self, timestamp: float) -> Iterator[str]:
        for file in self._folder.glob("*/*"):
            if file.is_file() and file.stat().st_mtime < timestamp:
                yield file.relative_to(self._folder).as_posix()

    def _path(self, key: str) -> Path:
        path = self._folder / key
        # A second protection: our keys contain only hexadecimal digits and one slash.
        if ".." in path.parts or not path.is_relative_to(self._folder):
            raise FileGone(key)
        return path


@contextmanager
def _reporting_errors() -> Iterator[None]:
    """Log the reason of a disk error for the operator; the user gets a general message."""
    try:
        yield
    except OSError as error:
        logger.error(
            "the attachments folder (ATTACHMENT_FOLDER) failed: %s",
            error.strerror or type(error).__name__,
        )
        raise FilesUnavailable from error
