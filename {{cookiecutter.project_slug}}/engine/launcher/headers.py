"""Headers for the sites that may show the chat, and for the frame on their pages."""

from collections.abc import Iterator

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.page.files import STATIC_PATH

SCRIPT_PATH = "/embed.js"
FRAME_PATH = "/embed"

# Header names as ASGI has them, in lower case.
SET_COOKIE = b"set-cookie"
NOT_IN_FRAMES = ("samesite", "secure")


class FrameHeaders:
    """ASGI middleware for the sites of ALLOWED_ORIGINS. Without such a site it changes nothing.

    - Their pages may load the launcher's modules (CORS), without cookies.
    - Responses to the frame set partitioned cookies, the only ones that browsers keep in a frame of
      another site. The browser sends them from frames on pages of that site alone.
    - The window to sign in, whose paths begin with one of `windows`, sends a code to the frame that
      opened it. Cross-Origin-Opener-Policy would separate the two.
    """

    def __init__(self, app: ASGIApp, origins: tuple[str, ...], windows: tuple[str, ...]) -> None:
        self._app = app
        self._origins = origins
        self._windows = windows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not self._origins:
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        # Read here, because routes add their own part to the root path.
        path = scope["path"].removeprefix(scope.get("root_path", ""))

        async def send_changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._change(request, path, message)
            await send(message)

        await self._app(scope, receive, send_changed)

    def _change(self, request: Request, path: str, message: Message) -> None:
        is_embedded = "embedded" in request.query_params or path == FRAME_PATH
        message["headers"] = [
            header
            for name, value in message["headers"]
            for header in (_cookies(value, is_embedded) if name == SET_COOKIE else [(name, value)])
        ]
        headers = MutableHeaders(scope=message)
        if path == SCRIPT_PATH or path.startswith(f"{STATIC_PATH}/"):
            self._share(request, headers)
        if path.startswith(self._windows):
            headers["Cross-Origin-Opener-Policy"] = "unsafe-none"

    def _share(self, request: Request, headers: MutableHeaders) -> None:
        headers.add_vary_header("Origin")
        origin = request.headers.get("Origin")
        if origin in self._origins:
            headers.setdefault("Access-Control-Allow-Origin", origin)


def _cookies(value: bytes, is_embedded: bool) -> Iterator[tuple[bytes, bytes]]:
    """For the frame, the cookie in its partitioned form; elsewhere the cookie, and the frame's is
    deleted: if the page around the frame is of the chat's site, browsers would send both.
    """
    if is_embedded:
        yield SET_COOKIE, _partitioned(value.decode("latin-1"))
        return
    yield SET_COOKIE, value
    name = value.decode("latin-1").partition("=")[0]
    yield SET_COOKIE, _partitioned(f'{name}=""; HttpOnly; Max-Age=0; Path=/')


def _partitioned(cookie: str) -> bytes:
    parts = [part.strip() for part in cookie.split(";")]
    kept = [part for part in parts if not part.lower().startswith(NOT_IN_FRAMES)]
    return "; ".join([*kept, "SameSite=none", "Secure", "Partitioned"]).encode("latin-1")
