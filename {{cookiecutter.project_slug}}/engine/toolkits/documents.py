"""The text of a document: PDF, DOCX, HTML, Markdown, and whatever else is text already."""

import asyncio
import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from weakref import WeakValueDictionary

from bs4 import BeautifulSoup
from docx import Document
from docx.table import Table
from pypdf import PdfReader

from engine.toolkits.limited import LimitExceeded, run_limited

PDF = "application/pdf"
DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
HTML = "text/html"

# Together they are less than a tool may take.
SECONDS = 18.0
WAIT_SECONDS = 8.0
# The readers of one process of the application, and the memory of each.
READERS = 2
MEMORY_BYTES = 300_000_000
MAX_TEXT_CHARS = 3_000_000
# What a DOCX, which is an archive, may unpack to.
MAX_UNPACKED_BYTES = 100_000_000


class Unreadable(Exception):
    """Its message says why, in words for whoever reads the text or the model that wanted to."""


class Readers:
    """A user waits for the end of a reading of their own, and everybody for a free reader."""

    def __init__(self, number: int) -> None:
        self._free = asyncio.Semaphore(number)
        self._of_user: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def one(self, user_id: str) -> AsyncIterator[None]:
        """Raises `Unreadable` when none is free soon."""
        own = self._of_user.setdefault(user_id, asyncio.Lock())
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await stack.enter_async_context(own)
                    await stack.enter_async_context(self._free)
            except TimeoutError:
                raise Unreadable("other files are being read; try again in a moment") from None
            yield


_FREE_READERS = Readers(READERS)


async def read_document(content: bytes, mime_type: str, user_id: str) -> str:
    """The text of the document, in a process of its own: one that is built to take for ever, or
    to take all memory, costs that process. Raises `Unreadable`.
    """
    async with _FREE_READERS.one(user_id):
        try:
            text, problem = await run_limited(
                _text_or_problem, content, mime_type, seconds=SECONDS, memory_bytes=MEMORY_BYTES
            )
        except LimitExceeded as error:
            raise Unreadable(str(error)) from None
    if problem:
        raise Unreadable(problem)
    return str(text)


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
    except MemoryError:
        raise  # the limit of this process: see `run_limited`
    except Exception as error:  # whatever a library says to a file that is broken
        return "", f"it is damaged ({type(error).__name__})"
    return (_cut(text), "") if text.strip() else ("", "there is no text in it")


def _cut(text: str) -> str:
    """It goes to the process of the application, which has no room for any length."""
    if len(text) <= MAX_TEXT_CHARS:
        return text
    return f"{text[:MAX_TEXT_CHARS]}\n[cut: this is the beginning of {len(text)} characters]"


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
