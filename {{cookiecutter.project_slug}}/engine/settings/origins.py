"""Origins of pages, as browsers write them: `https://www.example.com`."""

import re

ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def checked_origin(text: str) -> str:
    """As a browser would write it. Raises ValueError."""
    if not ORIGIN.fullmatch(text.lower()):
        raise ValueError(f"{text!r} is no origin, such as https://www.example.com")
    return plain_origin(text.lower())


def plain_origin(origin: str) -> str:
    """Without the port that goes without saying."""
    return origin.removesuffix(DEFAULT_PORTS.get(origin.partition(":")[0], "/"))
