"""What browsers are told to refuse: the headers of every response.

The page loads files of its own and the element from the CDN, which opens a frame there. Nothing
else runs, and nothing that is written into a page does.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.settings.settings import Settings

# Cross-Origin-Embedder-Policy is not among them: it would keep the element's frame blank.

_EXTRA = re.compile(r"[a-z-]+( [^\s;,]+)+")
_UNSAFE = {
    "'unsafe-inline'",
    "'unsafe-eval'",
    "'unsafe-hashes'",
    "*",
    "data:",
    "blob:",
    "http:",
    "https:",
}


def security_headers(
    settings: Settings, *, connect: Iterable[str] = (), microphone: bool = False
) -> dict[str, str]:
    """The headers, by name.

    `connect` are other origins that the page itself sends requests to. `microphone` lets the
    element listen. Raises ValueError when `CSP_EXTRA` is no policy or would undo this one.
    """
    cdn = _origin(settings.chatkit_script_url)
    listeners = f'(self "{cdn}")' if microphone else "()"
    return {
        "Content-Security-Policy": _policy(settings, cdn, connect),
        "X-Content-Type-Options": "nosniff",
        # Unless a response says otherwise, nobody else's page may show it, and nothing keeps it.
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
        # The frame learns which host it is on, and nobody which conversation is open.
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Permissions-Policy": f"camera=(), geolocation=(), microphone={listeners}, payment=(), usb=()",
    }


def _policy(settings: Settings, cdn: str, connect: Iterable[str]) -> str:
    policy = {
        "default-src": ["'none'"],
        "script-src": ["'self'", cdn],
        "frame-src": [cdn],
        "connect-src": ["'self'", *map(_source, connect)],
        # The element brings styles of its own, and takes no nonce for them.
        "style-src": ["'self'", "'unsafe-inline'"],
        "img-src": ["'self'", "data:", "blob:"],
        "font-src": ["'self'"],
        "manifest-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'self'", *settings.allowed_origins],
    }
    for directive, sources in _extra(settings.csp_extra).items():
        if directive not in policy:
            raise ValueError(f"CSP_EXTRA: {directive} is none of {', '.join(policy)}")
        known = policy[directive]
        policy[directive] = [source for source in known if source != "'none'"] + sources
    return "; ".join(f"{directive} {' '.join(sources)}" for directive, sources in policy.items())


def _extra(text: str) -> Mapping[str, list[str]]:
    extra = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        if not _EXTRA.fullmatch(part):
            raise ValueError(f"CSP_EXTRA: {part!r} is not a directive and its sources")
        directive, *sources = part.split(" ")
        if directive in {"script-src", "default-src"} and (unsafe := _UNSAFE.intersection(sources)):
            raise ValueError(f"CSP_EXTRA: {directive} must not allow {', '.join(sorted(unsafe))}")
        extra[directive] = sources
    return extra


def _source(url: str) -> str:
    """An address whose path cannot end the list or the policy that it stands in."""
    return url.replace(";", "%3B").replace(",", "%2C").replace(" ", "%20")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class SecurityHeadersMiddleware:
    """Adds them to what has none of its own by that name: a download may allow itself less."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str], settings: Settings) -> None:
        self._app = app
        self._headers = _raw(headers)
        self._hsts = _raw({"Strict-Transport-Security": f"max-age={settings.hsts_seconds}"})
        self._has_hsts = settings.hsts_seconds > 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        headers = self._headers_for(scope)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = {name.lower() for name, _ in message["headers"]}
                added = [header for header in headers if header[0] not in own]
                message["headers"] = [*message["headers"], *added]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _headers_for(self, scope: Scope) -> list[tuple[bytes, bytes]]:
        # (Only HTTPS may say it: RFC 6797, section 7.2. Behind a proxy that ends TLS, that is known
        # where FORWARDED_ALLOW_IPS names the proxy.)
        is_secure = self._has_hsts and scope["scheme"] == "https"
        return [*self._headers, *self._hsts] if is_secure else self._headers


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
