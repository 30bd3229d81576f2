"""Small files of every type."""

import io
import struct
import zipfile
import zlib

from engine.attachments.types import DOCX

TEXT = "Grüße aus der Datei. 🦊\n".encode()
HTML = b"<!doctype html><script>alert(document.cookie)</script>"
PROGRAM = b"MZ\x90\x00\x03" + bytes(200)
PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


def png(colour: bytes = b"\xff\x00\x00") -> bytes:
    """One pixel."""
    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(b"\x00" + colour)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in parts
    )


def archive(*names: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as target:
        for name in names:
            target.writestr(name, "<xml/>")
    return content.getvalue()


PNG = png()
EVERY = {
    "image/png": PNG,
    "image/jpeg": b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01" + bytes(20) + b"\xff\xd9",
    "image/gif": b"GIF89a\x01\x00\x01\x00" + bytes(20) + b";",
    "image/webp": b"RIFF\x24\x00\x00\x00WEBPVP8 " + bytes(24),
    "application/pdf": PDF,
    DOCX: archive("[Content_Types].xml", "word/document.xml"),
    "text/plain": TEXT,
    "text/markdown": b"# Title\n",
    "text/csv": b"a,b\n1,2\n",
    "text/html": HTML,
    "application/json": b'{"a": 1}',
}
