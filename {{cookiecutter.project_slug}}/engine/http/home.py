"""Where the chat is: the path under which it was included or mounted, and its address."""

from fastapi import Request


def home_path(request: Request) -> str:
    """Empty at the root of its host, else as in `/chat`."""
    path: str = request.scope.get("root_path", "")
    return path.rstrip("/")


def home_url(request: Request) -> str:
    """The address at which the browser reached it, with a slash at the end."""
    return str(request.url.replace(path=f"{home_path(request)}/", query="", fragment=""))
