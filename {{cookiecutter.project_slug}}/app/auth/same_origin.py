"""Requests that a page of another site makes a browser send: refused before they change anything.

A browser adds the cookies of this site to them, its user knows nothing of it, and SameSite does
not keep a neighbour under the same domain from it. One check for every route, also for those that
sign in and out.
"""

import re

from fastapi import Request
from pydantic import field_validator

from app.config import CommaSeparated, EnvSettings
from app.errors import Forbidden

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
ORIGIN = re.compile(r"https?://[a-z0-9.:\[\]-]+")
DEFAULT_PORTS = {"http": ":80", "https": ":443"}


class OriginSettings(EnvSettings):
    """`allowed_origins`: those of other pages that may send what changes something."""

    allowed_origins: CommaSeparated[str] = ()

    @field_validator("allowed_origins")
    @classmethod
    def _check(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not ORIGIN.fullmatch(origin.lower()):
                raise ValueError(f"{origin!r} is no origin, such as https://www.example.com")
        return tuple(_plain(origin.lower()) for origin in origins)


class ForeignOrigin(Forbidden):
    code = "foreign_origin"


class SameOrigin:
    """A dependency of the whole application. Raises `ForeignOrigin`."""

    def __init__(self, settings: OriginSettings | None = None) -> None:
        self._allowed = set((settings or OriginSettings()).allowed_origins)

    async def __call__(self, request: Request) -> None:
        if request.method not in SAFE_METHODS and not self._is_ours(request):
            raise ForeignOrigin(
                "This request came from a page of another site. If that is meant, or if a proxy "
                "changes the Host header, ALLOWED_ORIGINS has to name the page's origin."
            )

    def _is_ours(self, request: Request) -> bool:
        origin = request.headers.get("Origin", "null").lower()
        if origin != "null":
            return _plain(origin) in self._allowed | _own_origins(request)
        # A browser says either. What says neither is no browser, and nobody's cookies are in it
        # without their knowledge.
        site = request.headers.get("Sec-Fetch-Site")
        if site is None:
            return "Origin" not in request.headers
        return site in {"same-origin", "none"}


def _own_origins(request: Request) -> set[str]:
    """What this server is called from outside: the host as it was asked for, behind a proxy too.

    No page of another site can add X-Forwarded-Host to a request. Where TLS ends at a proxy, the
    scheme seen here is http and the page's is https.
    """
    headers = request.headers
    hosts = f"{headers.get('Host', '')},{headers.get('X-Forwarded-Host', '')}".lower().split(",")
    schemes = {request.url.scheme, "https"}
    return {_plain(f"{scheme}://{host.strip()}") for host in hosts for scheme in schemes}


def _plain(origin: str) -> str:
    """Without the port that goes without saying."""
    return origin.removesuffix(DEFAULT_PORTS.get(origin.partition(":")[0], "/"))
