"""Requests that a page of another site makes a browser send: refused before they change anything.

A browser adds the cookies of this site to them, its user knows nothing of it, and SameSite does
not keep a neighbour under the same domain from it. One check for every route, also for those that
sign in and out.
"""

from fastapi import Request

from engine.http.errors import Forbidden
from engine.settings.origins import without_default_port
from engine.settings.settings import Settings

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}


class ForeignOrigin(Forbidden):
    code = "foreign_origin"


class SameOrigin:
    """A dependency of the whole application. Raises `ForeignOrigin`."""

    def __init__(self, settings: Settings) -> None:
        self._allowed = set(settings.allowed_origins)

    async def __call__(self, request: Request) -> None:
        if request.method not in SAFE_METHODS and not self._is_ours(request):
            raise ForeignOrigin(
                "This request came from a page of another site. If that is meant, or if a proxy "
                "changes the Host header (nginx keeps it with `proxy_set_header Host $http_host`), "
                "ALLOWED_ORIGINS has to name the page's origin."
            )

    def _is_ours(self, request: Request) -> bool:
        origin = request.headers.get("Origin", "null").lower()
        if origin != "null":
            known = self._allowed | _own_origins(request)
            return without_default_port(origin) in known or _has_lost_its_port(request, origin)
        # A browser says either. What says neither is no browser, and nobody's cookies are in it
        # without their knowledge.
        site = request.headers.get("Sec-Fetch-Site")
        if site is None:
            return "Origin" not in request.headers
        return site in {"same-origin", "none"}


def _own_origins(request: Request) -> set[str]:
    """What this server is called from outside: the host as it was asked for, behind a proxy too."""
    return {
        without_default_port(f"{scheme}://{host}")
        for host in _hosts(request)
        for scheme in _schemes(request)
    }


def _hosts(request: Request) -> set[str]:
    """No page of another site can add X-Forwarded-Host to a request."""
    headers = request.headers
    hosts = f"{headers.get('Host', '')},{headers.get('X-Forwarded-Host', '')}".lower().split(",")
    return {host.strip() for host in hosts} - {""}


def _schemes(request: Request) -> set[str]:
    """Where TLS ends at a proxy, the scheme seen here is http and the page's is https."""
    return {request.url.scheme, "https"}


def _has_lost_its_port(request: Request, origin: str) -> bool:
    """True for our page at a port that a proxy has left out of the Host header (nginx's `$host`).

    A page at another port of this host says the same in Origin. Of those two the browser tells
    which it is; only over plain http, where it says nothing, are they not told apart. They share
    their cookies anyway.
    """
    scheme, _, place = origin.partition("://")
    host, colon, port = place.rpartition(":")
    if scheme not in _schemes(request) or host not in _hosts(request) or not port.isdecimal():
        return False
    site = request.headers.get("Sec-Fetch-Site")
    return bool(colon) and (scheme == "http" if site is None else site == "same-origin")
