"""The path under which the chat is included or mounted, and its URL."""

from fastapi import Request


def home_path(request: Request) -> str:
    """The path, such as `/chat`; empty at the root of the host."""
    path: str = request.scope.get("root_path", "")
    return path.rstrip("/")


def home_url(request: Request) -> str:
    """The URL at which the browser reached the chat, with a slash at the end."""
    return str(request.url.replace(path=f"{home_path(request)}/", query="", fragment=""))
