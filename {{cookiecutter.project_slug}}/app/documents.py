"""The text of a document: PDF, DOCX, HTML, Markdown, and whatever else is text already."""

import asyncio
import io
import zipfile

from anyio import to_process
from bs4 import BeautifulSoup
from docx import Document
from docx.table import Table
from pypdf import PdfReader

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML = "text/html"

SECONDS = 20.0
# What a DOCX, which is an archive, may unpack to.
MAX_UNPACKED_BYTES = 100_000_000


class Unreadable(Exception):
    """Its message says why, in words for whoever reads the text or the model that wanted to."""


async def read_document(content: bytes, mime_type: str) -> str:
    """The text of the document, in a process of its own: one that is built to take for ever, or
    to take all memory, costs that process. Raises `Unreadable`.
    """
    try:
        async with asyncio.timeout(SECONDS):
            text, problem = await to_process.run_sync(
                _text_or_problem, content, mime_type, cancellable=True
            )
    except TimeoutError:
        raise Unreadable("it takes too long to read") from None
    if problem:
        raise Unreadable(problem)
    return text


def text_of(content: bytes, mime_type: str) -> str:
    """The text of the document. Raises `Unreadable`, or takes as long as its author wanted."""
    text, problem = _text_or_problem(content, mime_type)
    if problem:
        raise Unreadable(problem)
    return text


def _text_or_problem(content: bytes, mime_type: str) -> tuple[str, str]:
    """One of the two is empty. (An exception of a library's may not survive between processes.)"""
    try:
        text = _READERS.get(mime_type, _plain)(content)
    except Unreadable as error:
        return "", str(error)
    except Exception as error:  # whatever a library says to a file that is broken
        return "", f"it is damaged ({type(error).__name__})"
    return (text, "") if text.strip() else ("", "there is no text in it")


def _pdf(content: bytes) -> str:
    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("it is protected by a password")
    pages = (f"[page {n}]\n{page.extract_text()}" for n, page in enumerate(reader.pages, 1))
    text = "\n\n".join(pages)
    return text if any(not line.startswith("[page ") for line in text.split("\n") if line) else ""


def _docx(content: bytes) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_UNPACKED_BYTES:
            raise Unreadable("it is too large")
    blocks = Document(io.BytesIO(content)).iter_inner_content()
    return "\n\n".join(_table(b) if isinstance(b, Table) else b.text for b in blocks)


def _table(table: Table) -> str:
    return "\n".join(" | ".join(cell.text for cell in row.cells) for row in table.rows)


def _html(content: bytes) -> str:
    page = BeautifulSoup(content, "html.parser")
    for element in page(["script", "style", "template", "noscript"]):
        element.decompose()
    lines = (line.strip() for line in page.get_text("\n").splitlines())
    return "\n".join(line for line in lines if line)


def _plain(content: bytes) -> str:
    return content.decode("utf-8-sig", "replace")


_READERS = {PDF: _pdf, DOCX: _docx, HTML: _html}
