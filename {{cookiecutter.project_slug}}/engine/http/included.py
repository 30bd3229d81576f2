"""Includes an ASGI application in another one as a router."""

import re
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

# The entries of a request's scope that the outer application added for its own routing.
ROUTING = {"app", "endpoint", "path_params", "route", "router"}

# The names of routes that another application includes begin with this; so does the probe's own.
NAMES = "chat"
PROBE_PATH = "/healthz"


def router_of(app: ASGIApp, paths: Iterable[str]) -> APIRouter:
    """A router that passes requests for these paths to `app`.

    The middleware and error handlers of `app` apply to its own routes only, wherever the router is
    included.
    """
    router = APIRouter()
    for path in sorted(set(paths)):
        endpoint: Any = _Included(app, path)
        router.add_route(path, endpoint, name=f"{NAMES}{path}", include_in_schema=False)
    return router


def prefix_in(app: FastAPI) -> str:
    """The path at which an application has the chat: "" or, for instance, "/help/chat"."""
    return str(app.url_path_for(f"{NAMES}{PROBE_PATH}")).removesuffix(PROBE_PATH)


class _Included:
    """Passes the prefix under which the router was included to the application as `root_path`."""

    def __init__(self, app: ASGIApp, path: str) -> None:
        self._app = app
        pattern = re.sub(r"\\\{\w+:path\\\}", ".*", re.escape(path))
        pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", pattern)
        self._split = re.compile(f"(.*?){pattern}", re.DOTALL)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        root_path = scope.get("root_path", "")
        found = self._split.fullmatch(scope["path"].removeprefix(root_path))
        own = {name: value for name, value in scope.items() if name not in ROUTING}
        own["root_path"] = root_path + (found[1] if found else "")
        await self._app(own, receive, send)
