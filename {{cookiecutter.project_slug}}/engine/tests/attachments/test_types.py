import io
import struct
import tracemalloc
import zipfile

import pytest

from engine.attachments.types import DOCX, EXTENSIONS, type_of
from engine.tests.attachments.samples import EVERY, HTML, PROGRAM, archive


def found(content: bytes, declared: str = "") -> str | None:
    return type_of(io.BytesIO(content), declared)


@pytest.mark.parametrize("mime_type", EXTENSIONS)
def test_each_type_is_detected_from_its_bytes(mime_type: str) -> None:
    assert found(EVERY[mime_type], mime_type) == mime_type


@pytest.mark.parametrize(
    "mime_type", [t for t in EXTENSIONS if not t.startswith(("text/", "application/json"))]
)
def test_the_declared_type_is_ignored(mime_type: str) -> None:
    assert found(EVERY[mime_type], "text/html") == mime_type


def test_html_is_text() -> None:
    assert found(HTML, "image/png") == "text/plain"
    assert found(b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml") == "text/plain"


@pytest.mark.parametrize(
    "content",
    [b"", PROGRAM, archive("a.txt"), b"PK\x03\x04" + bytes(40), b"text\x00", b"\xff\xfea\x00"],
)
def test_other_types_are_unknown(content: bytes) -> None:
    assert found(content, "text/plain") is None


def test_an_archive_is_not_unpacked_to_detect_its_type(monkeypatch: pytest.MonkeyPatch) -> None:
    """20 MB can hold half a million entries, for which `zipfile` creates 200 MB of objects."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *[0] * 9, 1, *[0] * 6) + b"a"
    begun = EVERY[DOCX]
    end = begun.rindex(b"PK\x05\x06")
    directory = begun[begun.index(b"PK\x01\x02") : end] + entry * 400_000
    files = begun[: begun.index(b"PK\x01\x02")]
    crowded = (
        files
        + directory
        + struct.pack(
            "<4s4H2LH", b"PK\x05\x06", 0, 0, 65_535, 65_535, len(directory), len(files), 0
        )
    )
    with zipfile.ZipFile(io.BytesIO(crowded)) as read:
        assert len(read.namelist()) == 400_002

    tracemalloc.start()
    assert found(crowded) is None
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 2_000_000


@pytest.mark.parametrize("comment", [b"", b"PK", bytes(60_000)])
def test_a_docx_may_have_other_bytes_around_it(comment: bytes) -> None:
    content = io.BytesIO(EVERY[DOCX])
    with zipfile.ZipFile(content, "a") as archive_:
        archive_.comment = comment
        archive_.writestr("word/media/image.png", bytes(100_000))
    assert found(content.getvalue()) == DOCX


@pytest.mark.parametrize("cut", [1, 10, 22, 40, 100])
def test_a_truncated_archive_is_unknown(cut: int) -> None:
    assert found(EVERY[DOCX][:-cut]) is None


def test_a_text_is_checked_to_its_end() -> None:
    assert found(b"a" * 200_000 + b"\xff", "text/plain") is None
    assert found(b"a" * 65_535 + "ä".encode(), "text/plain") == "text/plain"
