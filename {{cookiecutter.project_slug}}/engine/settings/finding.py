"""A line of `python3 -m app doctor`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """`fail` keeps the application from working; the text says how to mend what is not `ok`."""

    state: Literal["ok", "warn", "fail"]
    text: str
