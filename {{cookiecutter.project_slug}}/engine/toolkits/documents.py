"""Extracts the text of documents: PDF, DOCX, HTML, and any text file such as Markdown."""

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

# Their sum is below the timeout of a tool.
READ_SECONDS = 18.0
WAIT_SECONDS = 8.0
# The number of readers in each worker process, and the memory of each reader.
MAX_READERS = 2
MEMORY_BYTES = 300_000_000
MAX_TEXT_CHARS = 3_000_000
# The limit for the unpacked size of a DOCX, which is a ZIP archive.
MAX_UNPACKED_BYTES = 100_000_000


class Unreadable(Exception):
    """A document cannot be read; the message says why, for users and for the model."""


class Readers:
    """Limits parallel reading: one document for each user, and `number` in all."""

    def __init__(self, number: int) -> None:
        self._free = asyncio.Semaphore(number)
        self._of_user: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def acquire(self, user_id: str) -> AsyncIterator[None]:
        """Wait for a free reader. Raises `Unreadable` if there is none after `WAIT_SECONDS`."""
        own = self._of_user.setdefault(user_id, asyncio.Lock())
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(WAIT_SECONDS):
                    await stack.enter_async_context(own)
                    await stack.enter_async_context(self._free)
            except TimeoutError:
                raise Unreadable("other files are being read; try again in a moment") from None
            yield


_FREE_READERS = Readers(MAX_READERS)


async def read_document(content: bytes, mime_type: str, user_id: str) -> str:
    """The text of the document, read in a separate process with limited time and memory.

    A malicious document can only end that process. Raises `Unreadable`.
    """
    async with _FREE_READERS.acquire(user_id):
        try:
            text, problem = await run_limited(
                _text_or_problem,
                content,
                mime_type,
                seconds=READ_SECONDS,
                memory_bytes=MEMORY_BYTES,
            )
        except LimitExceeded as error:
            raise Unreadable(str(error)) from None
    if problem:
        raise Unreadable(problem)
    return str(text)


def _text_or_problem(content: bytes, mime_type: str) -> tuple[str, str]:
    """The text and the error, one of which is empty. A library's exception may not be picklable."""
    try:
        text = _READERS.get(mime_type, _plain)(content)
    except Unreadable as error:
        return "", str(error)
    except MemoryError:
        raise  # `run_limited` handles it
    except Exception as error:  # libraries raise many kinds of errors for a damaged file
        return "", f"it is damaged ({type(error).__name__})"
    return (_cut(text), "") if text.strip() else ("", "there is no text in it")


def _cut(text: str) -> str:
    """Limits the text that is sent to the worker process, to protect its memory."""
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
