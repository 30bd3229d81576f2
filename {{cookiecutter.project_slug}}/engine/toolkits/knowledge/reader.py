"""Reads the headings and texts of a file: Markdown, HTML, PDF, DOCX, and plain text."""

import io
import itertools
import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from bs4 import BeautifulSoup, XMLParsedAsHTMLWarning
from docx import Document
from docx.table import Table
from pypdf import PdfReader

from engine.toolkits.knowledge.passages import Block
from engine.toolkits.limited import LimitExceeded, run_limited

MAX_FILE_BYTES = 50_000_000
FENCE = re.compile(r"\s{0,3}(```|~~~)")
HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(.+?)\s*#*\s*$")
HEADING_STYLE = re.compile(r"heading (\d)", re.I)
BLOCK_TAGS = [
    *("h1", "h2", "h3", "h4", "h5", "h6", "p", "li", "pre", "tr", "dt", "dd", "blockquote"),
    *("div", "section", "article", "main", "header", "footer", "aside", "figure", "body"),
]


# The limits are high, because an operator adds files one by one.
READ_SECONDS = 300.0
MEMORY_BYTES = 1_000_000_000


class Unreadable(Exception):
    """A file cannot be read; the message says why, in a few words."""


async def read_limited(path: Path) -> list[Block]:
    """Like `read`, in a separate process with limited time and memory. Raises `Unreadable`."""
    try:
        blocks, problem = await run_limited(
            _blocks_or_problem, path, seconds=READ_SECONDS, memory_bytes=MEMORY_BYTES
        )
    except LimitExceeded as error:
        raise Unreadable(str(error)) from None
    if problem:
        raise Unreadable(problem)
    return [Block(text, level) for text, level in blocks]


def _blocks_or_problem(path: Path) -> tuple[list[tuple[str, int]], str]:
    """The blocks and the error, one of which is empty."""
    try:
        return [(block.text, block.level) for block in read(path)], ""
    except Unreadable as error:
        return [], str(error)


def read(path: Path) -> list[Block]:
    """The file's headings and texts. Every failure is raised as `Unreadable`."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        suffixes = ", ".join(sorted(READERS))
        raise Unreadable(f"expected one of {suffixes}, found {path.suffix or 'no suffix'}")
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise Unreadable(f"larger than {MAX_FILE_BYTES:,} bytes")
        content = path.read_bytes()
        blocks = [
            Block(text, block.level) for block in reader(content) if (text := _clean(block.text))
        ]
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # libraries raise many kinds of errors for a damaged file
        raise Unreadable(f"damaged ({type(error).__name__})") from error
    if not any(block.level == 0 for block in blocks):
        raise Unreadable("there is no text in it")
    return blocks


def _clean(text: str) -> str:
    """Remove NUL characters and lone surrogates, which PostgreSQL cannot store."""
    return text.replace("\0", "").encode("utf-8", "ignore").decode().strip()


def _plain(content: bytes) -> Iterator[Block]:
    text = content.decode("utf-8-sig", "replace")
    yield from (Block(paragraph) for paragraph in re.split(r"\n\s*\n", text))


def _markdown(content: bytes) -> Iterator[Block]:
    lines: list[str] = []
    fenced = False
    for line in content.decode("utf-8-sig", "replace").splitlines():
        fenced ^= bool(FENCE.match(line))
        heading = None if fenced else HEADING.match(line)
        if heading or (not line.strip() and not fenced):
            yield Block("\n".join(lines))
            lines = []
        if heading:
            yield Block(heading[2], len(heading[1]))
        else:
            lines.append(line)
    yield Block("\n".join(lines))


def _html(content: bytes) -> Iterator[Block]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", XMLParsedAsHTMLWarning)
        page = BeautifulSoup(content, "html.parser")
    for element in page(["script", "style", "template", "noscript", "nav"]):
        element.decompose()
    if page.title is not None:
        yield Block(page.title.get_text(" ", strip=True), 1)
    texts = page.body.find_all(string=True) if page.body is not None else page.find_all(string=True)
    # Blocks can be nested; a text belongs to the innermost block around it.
    for block, strings in itertools.groupby(texts, lambda text: text.find_parent(BLOCK_TAGS)):
        name = "div" if block is None else block.name
        words = "".join(strings)
        level = int(name[1]) if re.fullmatch(r"h[1-6]", name) else 0
        yield Block(words if name == "pre" else " ".join(words.split()), level)


def _pdf(content: bytes) -> Iterator[Block]:
    reader = PdfReader(io.BytesIO(content))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("protected by a password")
    if reader.metadata is not None and reader.metadata.title:
        yield Block(reader.metadata.title, 1)
    for number, page in enumerate(reader.pages, 1):
        if text := page.extract_text().strip():
            yield Block(f"Page {number}", 2)
            yield from (Block(paragraph) for paragraph in re.split(r"\n\s*\n", text))


def _docx(content: bytes) -> Iterator[Block]:
    document = Document(io.BytesIO(content))
    if document.core_properties.title:
        yield Block(document.core_properties.title, 1)
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            yield from (Block(" | ".join(c.text for c in row.cells)) for row in block.rows)
        else:
            style = block.style.name if block.style is not None else None
            heading = HEADING_STYLE.match(style or "")
            level = 1 if style == "Title" else min(int(heading[1]), 6) if heading else 0
            yield Block(block.text, level)


READERS: dict[str, Callable[[bytes], Iterator[Block]]] = {
    ".docx": _docx,
    ".htm": _html,
    ".html": _html,
    ".markdown": _markdown,
    ".md": _markdown,
    ".pdf": _pdf,
    ".txt": _plain,
}
