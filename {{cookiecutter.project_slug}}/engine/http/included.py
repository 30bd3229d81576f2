"""Routes of one ASGI application inside another one's."""

import re
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from starlette.types import ASGIApp, Receive, Scope, Send

# What the outer application has put into a request's scope about its own routing.
ROUTING = {"app", "endpoint", "path_params", "route", "router"}


def router_of(app: ASGIApp, paths: Iterable[str]) -> APIRouter:
    """A router that passes requests for these paths on to `app`.

    The application stays whole: its middleware and its error handlers hold wherever the router is
    included, and do not touch the routes beside it.
    """
    router = APIRouter()
    for path in sorted(set(paths)):
        endpoint: Any = _Included(app, path)
        router.add_route(path, endpoint, include_in_schema=False)
    return router


class _Included:
    """Tells the application the prefix under which its router was included, as `root_path`."""

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
