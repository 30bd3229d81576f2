"""The text of an `.env` file, however an editor or a shell encoded it. Standard library only."""

import codecs
from pathlib import Path

_ENCODINGS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


class UnreadableEnvFile(ValueError):
    """The file is not text in one encoding; the message says how to mend it, in one line."""


def read_env_text(path: Path) -> str:
    """UTF-8, or UTF-16 that says so in its first bytes. Raises `UnreadableEnvFile`."""
    content = path.read_bytes()
    encoding = next((name for bom, name in _ENCODINGS.items() if content.startswith(bom)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:  # UTF-16 that does not say so
        raise UnreadableEnvFile(
            f"{path} is not in UTF-8. PowerShell's > and >> write UTF-16: save the file as UTF-8 "
            "in an editor, or append with: Add-Content -Encoding utf8"
        )
    return text
