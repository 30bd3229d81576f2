"""Makes text valid Unicode, so that PostgreSQL, JSON and every model accept it."""

from typing import Any

REPLACEMENT = "\ufffd"


def valid_unicode(text: str) -> str:
    """The text as valid Unicode: two surrogates that form a pair become one character, and a
    lone surrogate becomes U+FFFD.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


class TextJoiner:
    """Makes streamed text valid Unicode; a surrogate pair may be split between two deltas."""

    def __init__(self) -> None:
        self._half = ""

    def feed(self, delta: str) -> str:
        if not self._half and delta.isascii():
            return delta
        text, self._half = self._half + delta, ""
        if "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        return valid_unicode(text)

    def finish(self) -> str:
        """U+FFFD if the text ended in the middle of a surrogate pair, else an empty string."""
        half, self._half = self._half, ""
        return REPLACEMENT if half else ""


def storable(value: Any) -> Any:
    """A JSON value that JSONB and text columns accept: without NUL, and in valid Unicode."""
    if isinstance(value, str):
        return valid_unicode(value.replace("\x00", ""))
    if isinstance(value, dict):
        return {storable(key): storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value
