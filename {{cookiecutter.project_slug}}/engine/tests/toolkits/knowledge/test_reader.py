"""Files are read into headings and texts, which are split into passages."""

import io
from pathlib import Path

import pytest
from docx import Document
from pypdf import PdfWriter

from engine.toolkits.knowledge import reader
from engine.toolkits.knowledge.passages import PASSAGE_CHARS, Block, Passage, passages, title_of
from engine.toolkits.knowledge.reader import Unreadable, read

MARKDOWN = """\ufeffIntroduction first.

# Returns

## Damaged goods ##
Send them back.
Within a week.

```sh
# not a heading
```

## Others
- one
"""
HTML = """<html><head><title>Returns</title><style>p {}</style></head><body><nav>Menu</nav>
<h2>Damaged <b>goods</b></h2><p>Send them&nbsp;back.</p><ul><li>one<ul><li>two</ul></ul>
<table><tr><td>a</td> <td>b</td></tr></table>bare<div>text</div><script>evil()</script></body></html>"""


def write(folder: Path, name: str, content: bytes) -> Path:
    file = folder / name
    file.write_bytes(content)
    return file


def pdf(*pages: str) -> bytes:
    """The smallest PDF with these texts, one on each page."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for number, words in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 700 Td ({words}) Tj ET"
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * number} 0 R"
            " /Resources << /Font << /F1 3 0 R >> >> >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    body, places = "%PDF-1.4\n", []
    for number, text in enumerate(objects, 1):
        places.append(len(body))
        body += f"{number} 0 obj\n{text}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    end = f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return f"{body}xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{end}".encode()


def docx() -> bytes:
    document = Document()
    document.add_heading("Returns", 0)
    document.add_heading("Damaged goods", 2)
    document.add_paragraph("Send them back.")
    cells = document.add_table(1, 2).rows[0].cells
    cells[0].text, cells[1].text = "a", "b"
    file = io.BytesIO()
    document.save(file)
    return file.getvalue()


def test_markdown(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a.MD", MARKDOWN.encode())) == [
        Block("Introduction first."),
        Block("Returns", 1),
        Block("Damaged goods", 2),
        Block("Send them back.\nWithin a week."),
        Block("```sh\n# not a heading\n```"),
        Block("Others", 2),
        Block("- one"),
    ]


def test_html(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a.html", HTML.encode())) == [
        Block("Returns", 1),
        Block("Damaged goods", 2),
        Block("Send them back."),
        Block("one"),
        Block("two"),
        Block("a b"),
        Block("bare"),
        Block("text"),
    ]


def test_pdf(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a.pdf", pdf("Send them back.", "Or not."))) == [
        Block("Page 1", 2),
        Block("Send them back."),
        Block("Page 2", 2),
        Block("Or not."),
    ]


def test_docx(tmp_path: Path) -> None:
    blocks = read(write(tmp_path, "a.docx", docx()))
    assert blocks[-4:] == [
        Block("Returns", 1),
        Block("Damaged goods", 2),
        Block("Send them back."),
        Block("a | b"),
    ]


def test_text_that_postgresql_cannot_store(tmp_path: Path) -> None:
    assert read(write(tmp_path, "a.txt", b"a\x00b \xff\n\nc")) == [Block("ab �"), Block("c")]


def locked() -> bytes:
    writer = PdfWriter()
    writer.add_blank_page(100, 100)
    writer.encrypt("password")
    file = io.BytesIO()
    writer.write(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("a.exe", b"MZ", r"expected one of .*, found \.exe"),
        ("a.pdf", b"not a PDF", "damaged"),
        ("a.docx", b"not a DOCX", "damaged"),
        ("a.pdf", pdf(""), "no text"),
        ("a.md", b"# Only a heading", "no text"),
        ("a.txt", b" \n ", "no text"),
        ("a.pdf", locked(), "damaged|password"),
        ("a.txt", b"x" * 1_001, "larger than"),
    ],
)
def test_unreadable_files(
    tmp_path: Path, name: str, content: bytes, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if why == "larger than":
        monkeypatch.setattr(reader, "MAX_FILE_BYTES", 1_000)
    with pytest.raises(Unreadable, match=why):
        read(write(tmp_path, name, content))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="damaged"):
        read(tmp_path / "a.txt")


def test_passages_follow_the_headings() -> None:
    blocks = [
        Block("Before."),
        Block("Returns", 1),
        Block("Damaged", 2),
        Block("Send."),
        Block("Soon."),
        Block("Other", 2),
        Block("Keep."),
        Block("Costs", 1),
        Block("None."),
    ]
    assert passages(blocks) == [
        Passage("", "Before."),
        Passage("Returns > Damaged", "Send.\n\nSoon."),
        Passage("Returns > Other", "Keep."),
        Passage("Costs", "None."),
    ]
    assert title_of(blocks, "file") == "Returns"
    assert title_of(blocks[:1], "file") == "file"


@pytest.mark.parametrize("text", ["A sentence of words. " * 500, "x" * 10_000, "word " * 2_000])
def test_passages_are_short_and_complete(text: str) -> None:
    found = [passage.text for passage in passages([Block(text.strip())])]
    assert max(map(len, found)) <= PASSAGE_CHARS
    assert "".join("".join(found).split()) == "".join(text.split())
