"""Origins of pages, as browsers write them: `https://www.example.com`."""

import re

ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def parse_origin(text: str) -> str:
    """The origin as a browser writes it. Raises ValueError."""
    if not ORIGIN.fullmatch(text.lower()):
        raise ValueError(f"{text!r} is not an origin such as https://www.example.com")
    return without_default_port(text.lower())


def without_default_port(origin: str) -> str:
    """The origin without the default port of its scheme."""
    return origin.removesuffix(DEFAULT_PORTS.get(origin.partition(":")[0], "/"))
