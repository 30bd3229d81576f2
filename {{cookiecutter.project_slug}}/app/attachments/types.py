"""What a file is, told by its bytes. Its name and what the browser says of it prove nothing."""

import codecs
import zipfile
from typing import BinaryIO

import puremagic

HEAD_BYTES = 8_192
CHUNK_BYTES = 65_536

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
PDF = "application/pdf"
PLAIN_TEXT = "text/plain"

# What browsers show and models see. (SVG is not among them: it is a document with scripts.)
IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")
TEXTS = (PLAIN_TEXT, "text/markdown", "text/csv", "text/html", "application/json")
READ_BY_MODELS = (*IMAGES, PDF, *TEXTS)

# Every type that can be taken, with the endings that a file dialog shows for it.
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
    """One of `EXTENSIONS`, or None for anything else.

    Texts are not told apart by their bytes: one of them is what it was declared to be, if that
    is a kind of text, and plain otherwise.
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
    """Every ZIP archive begins alike, so look inside."""
    try:
        with zipfile.ZipFile(file) as archive:
            return "word/document.xml" in archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, NotImplementedError):
        return False


def _is_text(file: BinaryIO) -> bool:
    """UTF-8 without NUL, all of it, and not empty."""
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
