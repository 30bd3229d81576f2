"""Serves the page's files from the owner's folder, and otherwise from the engine's folder."""

import os
import re
from collections.abc import Iterator
from pathlib import Path, PurePath

from fastapi import Response
from fastapi.staticfiles import StaticFiles
from starlette.types import Scope

ENGINE_FILES = Path(__file__).resolve().parent / "static"
INDEX = "index.html"
FONTS = (".woff2", ".woff", ".ttf", ".otf")

# Pages have their own addresses, and the others are read only by the server.
NOT_STATIC = {".html", ".po", ".py", ".toml"}

_INCLUDE = re.compile(r"[ \t]*<!-- include (_[\w-]+\.html) -->\n?")


def read_page(folder: Path, name: str = INDEX) -> str:
    """A page's HTML with its included parts: `<!-- include _header.html -->`.

    Raises ValueError if the page or a part does not exist.
    """

    def piece(found: re.Match[str]) -> str:
        return _read(folder / found[1], f"{folder / name} includes it")

    return _INCLUDE.sub(piece, _read(folder / name, "it is a page of the application"))


def other_pages(folder: Path) -> Iterator[str]:
    """The names of pages besides the chat's: `about.html` is served at `/about`."""
    names = sorted(file.name for file in folder.glob("*.html"))
    return (name for name in names if name != INDEX and not name.startswith("_"))


def _read(file: Path, why: str) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ValueError(f"{file} is missing: {why}.") from None


class PageFiles(StaticFiles):
    """Static files of two folders; a file in the first folder replaces one in the second.

    Browsers revalidate each file, which is mostly answered with 304: file names contain no version,
    so that browsers would otherwise mix modules of two versions after a deployment. All origins
    may load fonts, because the element's frame, on OpenAI's origin, loads those of
    `--chat-font-sources`.
    """

    def __init__(self, owner: Path) -> None:
        super().__init__(directory=owner)
        self.all_directories = [owner, ENGINE_FILES]

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        return super().lookup_path(path) if _is_static(PurePath(path)) else ("", None)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "no-cache"
        if os.fspath(full_path).lower().endswith(FONTS):
            response.headers["Access-Control-Allow-Origin"] = "*"
        return response


def _is_static(path: PurePath) -> bool:
    is_hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix.lower() not in NOT_STATIC and not is_hidden
