"""The security headers of every response.

The page loads its own files and the element's script from the CDN, which opens a frame from there.
The policy forbids all other scripts, also inline ones.
"""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.settings.settings import Settings

# Cross-Origin-Embedder-Policy is not set: it would keep the element's frame blank.

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

    `connect` are further origins that the page sends requests to. `microphone` allows the element
    to record. Raises ValueError if `CSP_EXTRA` is not valid or would make the policy unsafe.
    """
    cdn = _origin(settings.chatkit_script_url)
    recorders = f'(self "{cdn}")' if microphone else "()"
    return {
        "Content-Security-Policy": _policy(settings, cdn, connect),
        "X-Content-Type-Options": "nosniff",
        # The defaults for responses that do not set these: not cached, not loaded by other sites.
        "Cache-Control": "no-store",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
        # The frame needs the host; other sites must not see the path with the thread's id.
        "Referrer-Policy": "strict-origin-when-cross-origin",
        "Permissions-Policy": f"camera=(), geolocation=(), microphone={recorders}, payment=(), usb=()",
    }


def _policy(settings: Settings, cdn: str, connect: Iterable[str]) -> str:
    policy = {
        "default-src": ["'none'"],
        "script-src": ["'self'", cdn],
        "frame-src": [cdn],
        "connect-src": ["'self'", *map(_source, connect)],
        # The element adds inline styles without a nonce.
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
            raise ValueError(f"CSP_EXTRA: {directive} must be one of {', '.join(policy)}")
        known = policy[directive]
        policy[directive] = [source for source in known if source != "'none'"] + sources
    return "; ".join(f"{directive} {' '.join(sources)}" for directive, sources in policy.items())


def _extra(text: str) -> Mapping[str, list[str]]:
    extra = {}
    for part in filter(None, map(str.strip, text.split(";"))):
        if not _EXTRA.fullmatch(part):
            raise ValueError(
                f"CSP_EXTRA: {part!r} must be a directive and its sources, such as "
                "img-src https://example.com"
            )
        directive, *sources = part.split(" ")
        if directive in {"script-src", "default-src"} and (unsafe := _UNSAFE.intersection(sources)):
            raise ValueError(f"CSP_EXTRA: {directive} must not allow {', '.join(sorted(unsafe))}")
        extra[directive] = sources
    return extra


def _source(url: str) -> str:
    """The URL with the characters escaped that would end the list or the policy."""
    return url.replace(";", "%3B").replace(",", "%2C").replace(" ", "%20")


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


class SecurityHeadersMiddleware:
    """Adds the headers that a response does not set itself."""

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
        # Only over HTTPS (RFC 6797, section 7.2). Behind a proxy that terminates TLS, the scheme
        # is known if FORWARDED_ALLOW_IPS contains the proxy.
        is_secure = self._has_hsts and scope["scheme"] == "https"
        return [*self._headers, *self._hsts] if is_secure else self._headers


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]
