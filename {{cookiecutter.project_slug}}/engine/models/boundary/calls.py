"""Normalizes names, ids and arguments of tool calls, so that every server accepts them back."""

import json
import re
from collections.abc import Collection
from typing import Any
from uuid import uuid4

from engine.text.unicode import storable, valid_unicode

# OpenAI's limits, which compatible servers have as well.
MAX_NAME = 64
MAX_CALL_ID = 64

_INVALID = re.compile(r"[^A-Za-z0-9_-]")
# Control tokens of a model that its server did not remove, such as `<|channel|>commentary`.
_FORMAT_TOKENS = re.compile(r"<\|.*", re.S)
NAMELESS = "unknown"


def fit_name(name: object) -> str:
    """A name that every server accepts: 1 to 64 characters of `A-Za-z0-9_-`."""
    text = _FORMAT_TOKENS.sub("", name) if isinstance(name, str) else ""
    return _INVALID.sub("_", text.strip())[:MAX_NAME] or NAMELESS


def offered_name(name: object, offered: Collection[str]) -> str:
    """The offered tool that the model meant; if there is none, a valid name.

    Some models add a namespace: `functions.look_up`.
    """
    if isinstance(name, str) and name in offered:
        return name
    bare = _FORMAT_TOKENS.sub("", name).strip() if isinstance(name, str) else ""
    for candidate in (bare, re.split(r"[.:/]", bare)[-1]):
        if candidate in offered:
            return candidate
    return fit_name(name)


class CallIds:
    """Makes the ids of calls valid and unique within one conversation."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def fit(self, call_id: object) -> str:
        """The same id if it is valid and unused, or a new one."""
        if (
            not isinstance(call_id, str)
            or not 0 < len(call_id) <= MAX_CALL_ID
            or _INVALID.search(call_id)
            or call_id in self._used
        ):
            call_id = f"call_{uuid4().hex}"
        self._used.add(call_id)
        return call_id


def readable_arguments(arguments: object) -> str:
    """The arguments for the tool. Invalid arguments stay, and the tool then refuses them.

    Empty arguments become an empty object, and an object that was encoded twice is decoded.
    """
    text = valid_unicode(arguments).strip() if isinstance(arguments, str) else ""
    if text in ("", "null"):
        return "{}"
    read = _read(text)
    if isinstance(read, str):
        inner = _read(read)
        read, text = (inner, read) if isinstance(inner, dict) else (read, text)
    if isinstance(read, dict) and r"\ud" in text.lower():
        # JSON escapes such as \ud83d may be lone surrogates, which only decoding reveals.
        return json.dumps(storable(read), ensure_ascii=False)
    return text


def object_arguments(arguments: object) -> str:
    """The arguments as a JSON object, which every server accepts back."""
    text = readable_arguments(arguments)
    return text if isinstance(_read(text), dict) else "{}"


def _read(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> Any:
    """Python's parser accepts NaN and Infinity, which are not JSON."""
    raise ValueError(constant)
