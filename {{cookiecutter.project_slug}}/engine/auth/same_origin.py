"""Protection against cross-site request forgery (CSRF): checks the origin of every unsafe request.

A page of another site can make a browser send requests with the cookies of this site, and SameSite
does not stop other hosts of the same domain. The check covers every route, also sign-in and
sign-out.
"""

from fastapi import Request

from engine.http.errors import Forbidden
from engine.settings.origins import without_default_port
from engine.settings.settings import Settings

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}


class ForeignOrigin(Forbidden):
    code = "foreign_origin"


class SameOrigin:
    """A dependency for all routes of the application. Raises `ForeignOrigin`."""

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
            return without_default_port(origin) in known or _matches_without_port(request, origin)
        # A browser sends one of the two headers. A request without either is not from a browser,
        # so it has no cookies without the user's knowledge.
        site = request.headers.get("Sec-Fetch-Site")
        if site is None:
            return "Origin" not in request.headers
        return site in {"same-origin", "none"}


def _own_origins(request: Request) -> set[str]:
    """The origins under which the browser may know this server, also behind a proxy."""
    return {
        without_default_port(f"{scheme}://{host}")
        for host in _hosts(request)
        for scheme in _schemes(request)
    }


def _hosts(request: Request) -> set[str]:
    """X-Forwarded-Host can be trusted here: a page of another site cannot add it to a request."""
    headers = request.headers
    hosts = f"{headers.get('Host', '')},{headers.get('X-Forwarded-Host', '')}".lower().split(",")
    return {host.strip() for host in hosts} - {""}


def _schemes(request: Request) -> set[str]:
    """Both, because behind a proxy that terminates TLS the scheme is http and the page's https."""
    return {request.url.scheme, "https"}


def _matches_without_port(request: Request, origin: str) -> bool:
    """True if a proxy dropped the port of this server from the Host header (nginx's `$host`).

    A page on another port of this host has such an Origin too. Sec-Fetch-Site tells them apart;
    browsers omit it over plain http, but there, pages on all ports share their cookies anyway.
    """
    scheme, _, address = origin.partition("://")
    host, colon, port = address.rpartition(":")
    if scheme not in _schemes(request) or host not in _hosts(request) or not port.isdecimal():
        return False
    site = request.headers.get("Sec-Fetch-Site")
    return bool(colon) and (scheme == "http" if site is None else site == "same-origin")
