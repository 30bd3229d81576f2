"""Normalizes the citations that servers send."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from openai.types.responses.response_output_text import (
    Annotation,
    AnnotationContainerFileCitation,
    AnnotationFileCitation,
    AnnotationURLCitation,
)

from engine.text.unicode import valid_unicode


def citation(given: Any) -> Annotation | None:
    """The citation with missing fields filled in: the title from the URL, 0 for an index.

    None if there is neither a URL nor a file name, and for an unknown type.
    """
    read = _Reader(given)
    match read("type"):
        case "url_citation":
            return _of_address(read)
        case "file_citation":
            return _of_file(read)
        case "container_file_citation":
            return _of_container_file(read)
    return None


def citations(given: Any) -> list[Annotation]:
    found = given if isinstance(given, Iterable) else ()
    return [read for one in found if (read := citation(one)) is not None]


class _Reader:
    """Reads fields of a citation, which may be a dict or an object."""

    def __init__(self, given: Any) -> None:
        self._given = given

    def __call__(self, name: str) -> Any:
        if isinstance(self._given, dict):
            return self._given.get(name)
        return getattr(self._given, name, None)

    def text(self, name: str) -> str:
        value = self(name)
        return valid_unicode(value.replace("\x00", "")).strip() if isinstance(value, str) else ""

    def index(self, name: str) -> int:
        value = self(name)
        return value if isinstance(value, int) and value > 0 else 0


def _of_address(read: _Reader) -> Annotation | None:
    # Chat Completions nests the fields one level deeper.
    if isinstance(inner := read("url_citation"), dict):
        read = _Reader(inner)
    url = read.text("url")
    try:
        address = urlsplit(url)
    except ValueError:
        return None
    if address.scheme not in ("http", "https") or not address.netloc:
        return None
    title = read.text("title") or (address.hostname or url) + address.path.rstrip("/")
    return AnnotationURLCitation(
        type="url_citation",
        url=url,
        title=title,
        start_index=read.index("start_index"),
        end_index=read.index("end_index"),
    )


def _of_file(read: _Reader) -> Annotation | None:
    if not (name := read.text("filename")):
        return None
    return AnnotationFileCitation(
        type="file_citation",
        file_id=read.text("file_id"),
        filename=name,
        index=read.index("index"),
    )


def _of_container_file(read: _Reader) -> Annotation | None:
    if not (name := read.text("filename")):
        return None
    return AnnotationContainerFileCitation(
        type="container_file_citation",
        container_id=read.text("container_id"),
        file_id=read.text("file_id"),
        filename=name,
        start_index=read.index("start_index"),
        end_index=read.index("end_index"),
    )
