"""An id for each request: in the log, in error bodies and in the response's `X-Request-ID`."""

import re
from uuid import uuid4

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.telemetry.ids import current_request_id

HEADER = "X-Request-ID"

_ACCEPTABLE = re.compile(r"[\w.:-]{1,128}", re.ASCII)


class RequestIdMiddleware:
    """Takes the id from the request's header if it is valid, or creates one.

    An included application keeps the id that the outer one has set. (asgi-correlation-id adds its
    header once more there, and warns in the log of every id that a client made up.)
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        request_id = state.setdefault("request_id", _from_header(scope) or uuid4().hex)

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        # Not reset: every request has its own task, and unexpected errors are logged afterwards.
        current_request_id.set(request_id)
        await self._app(scope, receive, send_with_id)


def _from_header(scope: Scope) -> str | None:
    request_id = Headers(scope=scope).get(HEADER, "")
    return request_id if _ACCEPTABLE.fullmatch(request_id) else None
