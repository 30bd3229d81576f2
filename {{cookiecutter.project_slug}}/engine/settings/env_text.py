"""Reads `.env` files in UTF-8 or UTF-16. Uses the standard library only."""

import codecs
from pathlib import Path

_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class UnreadableEnvFile(ValueError):
    """The file is in neither encoding. The message says how to fix it, in one line."""


def read_env_text(path: Path) -> str:
    """Read UTF-8, or UTF-16 with a byte order mark. Raises `UnreadableEnvFile`."""
    content = path.read_bytes()
    encoding = next((name for bom, name in _ENCODINGS.items() if content.startswith(bom)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # UTF-16 without a byte order mark
        raise UnreadableEnvFile(
            f"{path} is not in UTF-8. PowerShell's > and >> write UTF-16: save the file as UTF-8 "
            "in an editor, or append with: Add-Content -Encoding utf8"
        )
    return text
