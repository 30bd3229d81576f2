"""Finds a file's MIME type from its bytes, because its name and declared type can be wrong."""

import codecs
import struct
from collections.abc import Iterator
from typing import BinaryIO

import puremagic

HEAD_BYTES = 8_192
CHUNK_BYTES = 65_536

# The end of a ZIP archive's central directory, and the header of an entry in it
# (APPNOTE 4.3.16, 4.3.12).
END_OF_DIRECTORY = struct.Struct("<4s4H2LH")
ENTRY = struct.Struct("<4s6H3L3H")
ENTRY_BYTES = 46
MAX_COMMENT_BYTES = 65_535
# A DOCX has a few dozen entries.
MAX_DIRECTORY_BYTES = 500_000
DOCX_BODY = b"word/document.xml"

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PDF = "application/pdf"
PLAIN_TEXT = "text/plain"

# Image types that browsers and models can show. SVG is excluded, because it can contain scripts.
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
TEXTS = (PLAIN_TEXT, "text/markdown", "text/csv", "text/html", "application/json")
READ_BY_MODELS = (*IMAGES, PDF, *TEXTS)

# Every type that can be accepted, with its file name extensions.
EXTENSIONS: dict[str, tuple[str, ...]] = {
    "image/png": (".png",),
    "image/jpeg": (".jpg", ".jpeg"),
    "image/gif": (".gif",),
    "image/webp": (".webp",),
    PDF: (".pdf",),
    DOCX: (".docx",),
    PLAIN_TEXT: (".txt", ".log"),
    "text/markdown": (".md",),
    "text/csv": (".csv",),
    "text/html": (".html", ".htm"),
    "application/json": (".json",),
}


def type_of(file: BinaryIO, declared: str) -> str | None:
    """One of `EXTENSIONS`, or None for any other type.

    Text types look the same in their bytes: a text gets its declared type if that is a text type,
    otherwise `text/plain`.
    """
    file.seek(0)
    head = file.read(HEAD_BYTES)
    found = _binary_types(head)
    for image_or_pdf in (*IMAGES, PDF):
        if image_or_pdf in found:
            return image_or_pdf
    if DOCX in found:
        return DOCX if _is_docx(file) else None
    if not _is_text(file):
        return None
    return declared if declared in TEXTS else PLAIN_TEXT


def _binary_types(head: bytes) -> set[str]:
    try:
        return {match.mime_type for match in puremagic.magic_string(head)}
    except (puremagic.PureError, ValueError):
        return set()


def _is_docx(file: BinaryIO) -> bool:
    """Look at the names in the archive's directory, because all ZIP archives begin alike.

    Python's `zipfile` is not used: it creates an object for each entry, and 20 MB can hold half a
    million entries.
    """
    size = file.seek(0, 2)
    tail_size = min(size, END_OF_DIRECTORY.size + MAX_COMMENT_BYTES)
    file.seek(size - tail_size)
    tail = file.read(tail_size)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or len(tail) - end < END_OF_DIRECTORY.size:
        return False
    directory_size = END_OF_DIRECTORY.unpack_from(tail, end)[5]
    start = size - tail_size + end - directory_size
    if directory_size > MAX_DIRECTORY_BYTES or start < 0:
        return False
    file.seek(start)
    return DOCX_BODY in _names(file.read(directory_size))


def _names(directory: bytes) -> Iterator[bytes]:
    offset = 0
    while directory.startswith(b"PK\x01\x02", offset) and len(directory) - offset > ENTRY.size:
        *_, name_size, extra_size, comment_size = ENTRY.unpack_from(directory, offset)
        offset += ENTRY_BYTES
        yield directory[offset : offset + name_size]
        offset += name_size + extra_size + comment_size


def _is_text(file: BinaryIO) -> bool:
    """True if the whole file is UTF-8 without NUL and not empty."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    file.seek(0)
    size = 0
    try:
        while chunk := file.read(CHUNK_BYTES):
            size += len(chunk)
            if b"\x00" in chunk:
                return False
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return size > 0
