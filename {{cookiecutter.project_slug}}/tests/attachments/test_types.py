import io

import pytest

from app.attachments.types import EXTENSIONS, type_of
from tests.attachments.samples import EVERY, HTML, PROGRAM, archive


def found(content: bytes, declared: str = "") -> str | None:
    return type_of(io.BytesIO(content), declared)


@pytest.mark.parametrize("mime_type", EXTENSIONS)
def test_each_type_is_known_by_its_bytes(mime_type: str) -> None:
    assert found(EVERY[mime_type], mime_type) == mime_type


@pytest.mark.parametrize(
    "mime_type", [t for t in EXTENSIONS if not t.startswith(("text/", "application/json"))]
)
def test_what_is_declared_changes_nothing(mime_type: str) -> None:
    assert found(EVERY[mime_type], "text/html") == mime_type


def test_a_page_is_a_text() -> None:
    assert found(HTML, "image/png") == "text/plain"
    assert found(b'<svg xmlns="http://www.w3.org/2000/svg"/>', "image/svg+xml") == "text/plain"


@pytest.mark.parametrize(
    "content",
    [b"", PROGRAM, archive("a.txt"), b"PK\x03\x04" + bytes(40), b"text\x00", b"\xff\xfea\x00"],
)
def test_anything_else_is_nothing(content: bytes) -> None:
    assert found(content, "text/plain") is None


def test_a_text_is_looked_at_to_its_end() -> None:
    assert found(b"a" * 200_000 + b"\xff", "text/plain") is None
    assert found(b"a" * 65_535 + "ä".encode(), "text/plain") == "text/plain"
