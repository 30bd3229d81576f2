"""Tool calls that every model on offer takes back: their names, ids and arguments."""

import json
import re
from collections.abc import Collection
from typing import Any
from uuid import uuid4

from engine.text.unicode import storable, valid_unicode

# OpenAI's limits, which compatible servers copied.
MAX_NAME = 64
MAX_CALL_ID = 64

_UNFIT = re.compile(r"[^A-Za-z0-9_-]")
# Tokens of a model's own format that its server left in, such as `<|channel|>commentary`.
_FORMAT_TOKENS = re.compile(r"<\|.*", re.S)
NAMELESS = "unknown"


def fit_name(name: object) -> str:
    """The name as every server takes it: 1 to 64 of `A-Za-z0-9_-`."""
    text = _FORMAT_TOKENS.sub("", name) if isinstance(name, str) else ""
    return _UNFIT.sub("_", text.strip())[:MAX_NAME] or NAMELESS


def offered_name(name: object, offered: Collection[str]) -> str:
    """The tool that the model meant, if there is such a one on offer; else a name that is fit.

    Some models put their tools into a namespace: `functions.look_up`.
    """
    if isinstance(name, str) and name in offered:
        return name
    bare = _FORMAT_TOKENS.sub("", name).strip() if isinstance(name, str) else ""
    for candidate in (bare, re.split(r"[.:/]", bare)[-1]):
        if candidate in offered:
            return candidate
    return fit_name(name)


class CallIds:
    """Makes the ids of calls unique and short enough. It knows those of one conversation."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def fit(self, call_id: object) -> str:
        """The same id if it can stay, or a new one."""
        if (
            not isinstance(call_id, str)
            or not 0 < len(call_id) <= MAX_CALL_ID
            or _UNFIT.search(call_id)
            or call_id in self._used
        ):
            call_id = f"call_{uuid4().hex}"
        self._used.add(call_id)
        return call_id


def readable_arguments(arguments: object) -> str:
    """The arguments as the tool gets them. What is no object stays, for the tool to refuse it.

    No arguments at all are an empty object, and an object that was encoded twice is read.
    """
    text = valid_unicode(arguments).strip() if isinstance(arguments, str) else ""
    if text in ("", "null"):
        return "{}"
    read = _read(text)
    if isinstance(read, str):
        inner = _read(read)
        read, text = (inner, read) if isinstance(inner, dict) else (read, text)
    if isinstance(read, dict) and r"\ud" in text.lower():
        # Halves of a pair may stand there as escapes, which the text does not show.
        return json.dumps(storable(read), ensure_ascii=False)
    return text


def object_arguments(arguments: object) -> str:
    """The arguments as every server takes them back: a JSON object."""
    text = readable_arguments(arguments)
    return text if isinstance(_read(text), dict) else "{}"


def _read(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None


def _refuse(constant: str) -> Any:
    """NaN and Infinity are Python's, and not JSON."""
    raise ValueError(constant)
