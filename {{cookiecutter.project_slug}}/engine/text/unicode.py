"""Text that PostgreSQL, JSON and every model can hold."""

from typing import Any

REPLACEMENT = "\ufffd"


def joined(text: str) -> str:
    """The text as valid Unicode: halves of a UTF-16 pair that follow each other become the
    character that they spell, and a half that stands alone becomes U+FFFD.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class TextJoiner:
    """Joins a text that arrives in deltas; a UTF-16 pair may be split between two of them."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, delta: str) -> str:
        if not self._half and delta.isascii():
            return delta
        text, self._half = self._half + delta, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return joined(text)

    def finish(self) -> str:
        """U+FFFD for half of a pair whose other half never came; else nothing."""
        half, self._half = self._half, ""
        return REPLACEMENT if half else ""


def storable(value: Any) -> Any:
    """The same JSON value without what neither JSONB nor text columns take.

    NUL is dropped, and text is made valid Unicode.
    """
    if isinstance(value, str):
        return joined(value.replace("\x00", ""))
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value
