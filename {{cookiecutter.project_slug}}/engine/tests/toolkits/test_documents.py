"""Extraction of the text of documents."""

import asyncio
import io
import sys
import zipfile

import pytest
from docx import Document
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from engine.toolkits import documents
from engine.toolkits.documents import DOCX, HTML, PDF, Unreadable, read_document


def text_of(content: bytes, mime_type: str) -> str:
    """The text, read in this process, because to start one for each test takes long."""
    text, problem = documents._text_or_problem(content, mime_type)
    if problem:
        raise Unreadable(problem)
    return text


def docx(*paragraphs: str, rows: tuple[tuple[str, ...], ...] = ()) -> bytes:
    document = Document()
    for paragraph in paragraphs:
        document.add_paragraph(paragraph)
    if rows:
        table = document.add_table(0, len(rows[0]))
        for row in rows:
            for cell, text in zip(table.add_row().cells, row, strict=True):
                cell.text = text
    content = io.BytesIO()
    document.save(content)
    return content.getvalue()


def pdf(*pages: str, locked_with: str | None = None) -> bytes:
    """A PDF with a page for each text, in a standard font."""
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(300, 300)
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    if locked_with is not None:
        writer.encrypt(locked_with, algorithm="RC4-128")
    content = io.BytesIO()
    writer.write(content)
    return content.getvalue()


def test_pdf() -> None:
    assert text_of(pdf("Hello", "World"), PDF) == "[page 1]\nHello\n\n[page 2]\nWorld"


def test_docx() -> None:
    content = docx("One", "Two", rows=(("a", "b"), ("c", "d")))

    assert text_of(content, DOCX) == "One\n\nTwo\n\na | b\nc | d"


def test_html() -> None:
    page = "<title>T</title><style>p{}</style><h1>Größe</h1><p>a&amp;b<script>x()</script>"

    assert text_of(page.encode(), HTML) == "T\nGröße\na&b"


@pytest.mark.parametrize("mime_type", ["text/plain", "text/markdown", "text/csv"])
def test_text(mime_type: str) -> None:
    assert text_of("\ufeff# Größe".encode(), mime_type) == "# Größe"


@pytest.mark.parametrize(
    ("content", "mime_type", "why"),
    [
        (b"%PDF-1.4\nbroken", PDF, "it is damaged"),
        (b"PK\x03\x04broken", DOCX, "it is damaged"),
        (pdf("x", locked_with="x"), PDF, "it is protected by a password"),
        (pdf(""), PDF, "there is no text in it"),
        (b" \n", "text/plain", "there is no text in it"),
    ],
)
def test_unreadable_documents(content: bytes, mime_type: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        text_of(content, mime_type)


def test_an_archive_with_too_large_content() -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(documents.MAX_UNPACKED_BYTES + 1))

    with pytest.raises(Unreadable, match="it is too large"):
        text_of(content.getvalue(), DOCX)


async def test_reading_does_not_block_the_event_loop() -> None:
    """It runs in another process."""
    reading = asyncio.create_task(read_document(pdf(*["word " * 200] * 200), PDF, "ada"))
    rounds = 0
    while not reading.done():
        await asyncio.sleep(0.01)
        rounds += 1

    assert "[page 200]" in await reading
    assert rounds > 5


async def test_a_slow_document_times_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "READ_SECONDS", 0.0)

    with pytest.raises(Unreadable, match="takes too long"):
        await read_document(pdf("Hello"), PDF, "ada")


def docx_of(body: str) -> bytes:
    """The smallest DOCX with this body."""
    content = io.BytesIO(docx("x"))
    packed = io.BytesIO()
    with zipfile.ZipFile(content) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for member in old.infolist():
            data = old.read(member)
            if member.filename == "word/document.xml":
                beginning, end = data.decode().split("<w:body>")[0], "</w:body></w:document>"
                data = f"{beginning}<w:body>{body}{end}".encode()
            new.writestr(member.filename, data)
    return packed.getvalue()


@pytest.mark.skipif(sys.platform != "linux", reason="no memory limit on this platform")
@pytest.mark.parametrize(
    ("content", "mime_type"),
    [(docx_of("<w:p/>" * 4_000_000), DOCX), (b"<b>x" * 1_000_000, HTML)],
    ids=["a Word file", "a page"],
)
async def test_a_document_that_needs_too_much_memory(content: bytes, mime_type: str) -> None:
    """Without memory, lxml reports a damaged file; a slow machine may time out."""
    import resource

    # The maximum of all child processes so far, which may be of another test.
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1_024
    with pytest.raises(Unreadable, match=r"too much memory|takes too long|damaged"):
        await read_document(content, mime_type, "ada")
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1_024
    # plus Python's own memory
    assert most <= max(before, documents.MEMORY_BYTES + 300_000_000)


async def test_a_text_is_cut() -> None:
    text = await read_document(b"a" * (documents.MAX_TEXT_CHARS + 1), "text/plain", "ada")

    assert text.endswith(
        f"[cut: this is the beginning of {documents.MAX_TEXT_CHARS + 1} characters]"
    )
    assert len(text) < documents.MAX_TEXT_CHARS + 100


async def test_readers_are_limited_for_each_user_and_in_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(documents, "WAIT_SECONDS", 0.05)
    readers = documents.Readers(2)
    async with readers.acquire("ada"):
        with pytest.raises(Unreadable, match="other files are being read"):
            async with readers.acquire("ada"):
                pass
        async with readers.acquire("grace"):
            with pytest.raises(Unreadable, match="other files are being read"):
                async with readers.acquire("edsger"):
                    pass
    async with readers.acquire("ada"), readers.acquire("edsger"):
        pass
