"""Serves the page's files from the owner's folder, and otherwise from the engine's folder."""

import gzip
import hashlib
import os
import posixpath
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from mimetypes import guess_type
from pathlib import Path, PurePath, PurePosixPath

from fastapi import Response
from fastapi.staticfiles import StaticFiles
from starlette.datastructures import Headers
from starlette.staticfiles import NotModifiedResponse
from starlette.types import Scope

from engine.page.bundle import ENTRY, bundles_of

ENGINE_FILES = Path(__file__).resolve().parent / "static"
INDEX = "index.html"
FONTS = (".woff2", ".woff", ".ttf", ".otf")
STATIC_PATH = "/static"

# Pages have their own addresses, and the others are read only by the server.
NOT_STATIC = {".html", ".po", ".py", ".toml"}
COMPRESSED = {".css", ".js", ".json", ".map", ".mjs", ".svg", ".txt", ".webmanifest"}

FOR_GOOD = "public, max-age=31536000, immutable"
HASH_CHARS = 16  # as in `_HASHED`

_INCLUDE = re.compile(r"[ \t]*<!-- include (_[\w-]+\.html) -->\n?")
_HASHED = re.compile(r"(.+)\.([0-9a-f]{16})(\.\w+)")
_TAG = re.compile(r"<[a-zA-Z][^>]*>")
# An address of this site in an attribute, also one of several, as in `srcset`.
_ADDRESS = re.compile(rf"""(?<=["'=,\s])((?!//)(?:[^"'\s:=,]*/)?){STATIC_PATH[1:]}/([\w./-]+)""")
_IN_CSS = re.compile(
    r"""(?P<url>url\(\s*["']?)(?P<file>[\w./-]+)|(?P<page>["']static/)(?P<name>[\w./-]+)"""
)


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


@dataclass(frozen=True)
class Content:
    """A file's content; `body` is None for one that is sent as it is."""

    hash: str
    body: bytes | None = None
    packed: bytes = b""

    @classmethod
    def text(cls, body: bytes) -> "Content":
        return cls(_hash(body), body, gzip.compress(body, mtime=0))

    def response(self, media_type: str, asked: Headers) -> Response:
        """Compressed where the browser allows it, and empty where it has this already."""
        is_packed = "gzip" in asked.get("Accept-Encoding", "")
        response = Response(self.packed if is_packed else self.body, media_type=media_type)
        response.headers.update({"ETag": f'"{self.hash}"', "Vary": "Accept-Encoding"})
        if is_packed:
            response.headers["Content-Encoding"] = "gzip"
        return self.or_not_modified(response, asked)

    def or_not_modified(self, response: Response, asked: Headers) -> Response:
        response.headers["ETag"] = f'"{self.hash}"'
        known = asked.get("If-None-Match", "").replace("W/", "").split(",")
        is_known = response.headers["ETag"] in map(str.strip, known)
        return NotModifiedResponse(response.headers) if is_known else response


def _hash(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()[:HASH_CHARS]


class PageFiles(StaticFiles):
    """Static files of two folders; a file in the first folder replaces one in the second.

    Pages name a file with the hash of its content, as `theme.0123456789abcdef.css`: browsers keep
    it for good. A name without the hash, and one with another version's, gets the present file,
    which browsers then ask for again each time. So during a deployment, page and files of two
    versions find each other.

    Modules that others import keep their names. With a bundle (see bundle.py) pages load none of
    them; with `plain_modules` neither the bundle nor any hash is used, so that an edit shows at the
    next reload. All origins may load fonts, because the element's frame, on OpenAI's origin, loads
    those of `--chat-font-sources`.
    """

    def __init__(self, owner: Path, *, plain_modules: bool = False) -> None:
        super().__init__(directory=owner)
        sources = (owner.resolve(), ENGINE_FILES)
        bundles = None if plain_modules else bundles_of(*sources)
        self.has_bundles = bundles is not None
        self.has_hashes = not plain_modules
        self.all_directories = [*([bundles] if bundles else []), *sources]
        self._contents: dict[str, tuple[tuple[int, int], Content]] = {}

    def hashed(self, name: str) -> str:
        """The file's name with the hash of its content; unchanged for what is not a static file."""
        path, found = self._find(name) if self.has_hashes else ("", None)
        if found is None or not stat.S_ISREG(found.st_mode):
            return name
        file = PurePosixPath(name)
        return str(file.with_name(f"{file.stem}.{self._content(path, found).hash}{file.suffix}"))

    def with_hashes(self, html: str) -> str:
        """The page with hashes in the addresses of styles, pictures, classic scripts and bundles."""

        def in_tag(tag: re.Match[str]) -> str:
            is_module = "module" in tag[0]

            def address(found: re.Match[str]) -> str:
                name = (
                    found[2]
                    if is_module and not self._is_bundle(found[2])
                    else self.hashed(found[2])
                )
                return f"{found[1]}{STATIC_PATH[1:]}/{name}"

            return _ADDRESS.sub(address, tag[0])

        return _TAG.sub(in_tag, html) if self.has_hashes else html

    def _is_bundle(self, name: str) -> bool:
        return self.has_bundles and PurePosixPath(name).name == ENTRY

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        found = self._find(path)
        version = _HASHED.fullmatch(path)
        return self._find(version[1] + version[3]) if version and found[1] is None else found

    def _find(self, name: str) -> tuple[str, os.stat_result | None]:
        return super().lookup_path(name) if _is_static(PurePath(name)) else ("", None)

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        version = _HASHED.fullmatch(path)
        is_this_version = version and response.headers.get("ETag") == f'"{version[2]}"'
        response.headers["Cache-Control"] = FOR_GOOD if is_this_version else "no-cache"
        return response

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        path, asked = os.fspath(full_path), Headers(scope=scope)
        content = self._content(path, stat_result)
        if content.body is None:
            file = super().file_response(path, stat_result, scope, status_code)
            response = content.or_not_modified(file, asked)
        else:
            response = content.response(guess_type(path)[0] or "text/plain", asked)
        if path.lower().endswith(FONTS):
            response.headers["Access-Control-Allow-Origin"] = "*"
        return response

    def _content(self, path: str, found: os.stat_result) -> Content:
        version = (found.st_mtime_ns, found.st_size)
        known = self._contents.get(path)
        if known is None or known[0] != version:
            known = (version, self._read(Path(path)))
            self._contents[path] = known
        return known[1]

    def _read(self, file: Path) -> Content:
        body = file.read_bytes()
        suffix = file.suffix.lower()
        if suffix == ".css" and self.has_hashes:
            body = self._with_hashes_in_css(file, body)
        return Content.text(body) if suffix in COMPRESSED else Content(_hash(body))

    def _with_hashes_in_css(self, file: Path, body: bytes) -> bytes:
        """The hashes of pictures and fonts, which a change of theirs so makes the style's too.

        A style that this one imports keeps its name: two may import each other.
        """
        folder = next(Path(top) for top in self.all_directories if file.is_relative_to(top))
        here = file.relative_to(folder).parent.as_posix()

        def address(found: re.Match[str]) -> str:
            name = found["name"] or posixpath.normpath(f"{here}/{found['file']}")
            if name.endswith(".css"):
                return found[0]
            written = found["name"] or found["file"]
            return f"{found['page'] or found['url']}{_renamed(written, self.hashed(name))}"

        return _IN_CSS.sub(address, body.decode("utf-8", "surrogateescape")).encode(
            "utf-8", "surrogateescape"
        )


def _renamed(written: str, name: str) -> str:
    """The address as it is written, with the last part of `name`."""
    return str(PurePosixPath(written).with_name(PurePosixPath(name).name))


def _is_static(path: PurePath) -> bool:
    is_hidden = any(part.startswith(".") for part in path.parts)
    return path.suffix.lower() not in NOT_STATIC and not is_hidden
