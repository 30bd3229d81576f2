"""An S3 store that forwards requests to moto, or returns responses of the test."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.tests.attachments.s3 import kind as s3
from engine.tests.fixtures import serving

# Returns the response to a request; None forwards it.
Rule = Callable[[Request, bytes], Response | None]
METHODS = ["DELETE", "GET", "HEAD", "OPTIONS", "POST", "PUT"]


@dataclass
class Front:
    url: str = ""
    rule: Rule = lambda _request, _body: None
    requests: list[Request] = field(default_factory=list)

    def came(self, method: str, query: str = "") -> list[Request]:
        return [r for r in self.requests if r.method == method and query in r.url.query]

    def refuse(self, method: str, response: Response) -> None:
        """Return this response for all requests with that method."""
        self.rule = lambda request, _body: response if request.method == method else None


@asynccontextmanager
async def front() -> AsyncIterator[Front]:
    stands = Front()
    async with httpx2.AsyncClient(timeout=60) as client:

        async def answer(request: Request) -> Response:
            stands.requests.append(request)
            body = await request.body()
            if (said := stands.rule(request, body)) is not None:
                return said
            url = request.url.replace(scheme="http", netloc=s3.server().removeprefix("http://"))
            headers = [(k, v) for k, v in request.headers.items() if k != "host"]
            found = await client.request(request.method, str(url), headers=headers, content=body)
            kept = {k: v for k, v in found.headers.items() if k not in HOP_BY_HOP}
            return Response(found.content, found.status_code, kept)

        app = Starlette(routes=[Route("/{path:path}", answer, methods=METHODS)])
        async with serving(app, date_header=False, server_header=False) as stands.url:  # type: ignore[arg-type]
            yield stands


HOP_BY_HOP = {"connection", "content-length", "content-encoding", "transfer-encoding"}


def error(
    status: int, code: str, *, headers: dict[str, str] | None = None, **more: str
) -> Response:
    """An error in S3's format: `error(403, "AccessDenied", Message="…")`."""
    fields = "".join(f"<{name}>{text}</{name}>" for name, text in {"Code": code, **more}.items())
    body = f'<?xml version="1.0" encoding="UTF-8"?><Error>{fields}</Error>'
    return Response(body, status, {"content-type": "application/xml", **(headers or {})})
