"""ASGI middleware that gives addresses of static files in pages the hash of the file's content."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.page.files import PageFiles


class HashedPages:
    """For every page of the chat's application: the owner's, those to sign in, those of options."""

    def __init__(self, app: ASGIApp, files: PageFiles) -> None:
        self._app = app
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        page = _Page(self._files, send)
        await self._app(scope, receive, page.send)


class _Page:
    """Holds the response of a page until it is complete; all others pass."""

    def __init__(self, files: PageFiles, send: Send) -> None:
        self._files = files
        self._send = send
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_page(message):
            self._start = message
        elif self._start is not None and message["type"] == "http.response.body":
            await self._collect(self._start, message)
        else:
            await self._send(message)

    async def _collect(self, start: Message, message: Message) -> None:
        self._body += message.get("body", b"")
        if message.get("more_body", False):
            return
        body = self._files.with_hashes(self._body.decode("utf-8", "surrogateescape"))
        sent = body.encode("utf-8", "surrogateescape")
        MutableHeaders(scope=start)["Content-Length"] = str(len(sent))
        await self._send(start)
        await self._send({"type": "http.response.body", "body": sent})


def _is_page(start: Message) -> bool:
    kind = MutableHeaders(scope=start).get("Content-Type", "")
    return kind.startswith("text/html")
