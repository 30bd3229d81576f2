"""`python -m app dev`: the application with reload, on a database that is ready."""

import errno
import importlib
import os
import socket
from contextlib import ExitStack
from typing import Any

import uvicorn

from dev.database import running_database
from dev.options import COMPANIONS
from dev.paths import PROJECT_ROOT
from engine.operate.commands.migrate import upgrade
from engine.settings.settings import Settings

# How every server of this project reads HTTP. In production, options say the same (README.md). httptools
# takes a header of any length and reads it again and again as it grows: one connection, without
# signing in, freezes a process. h11 closes it at the limit, for 0.2 ms of CPU more a request.
# Cookies and tokens come together to less; common proxies allow less.
MAX_HEADER_BYTES = 65_536
HTTP: dict[str, Any] = {"http": "h11", "h11_max_incomplete_event_size": MAX_HEADER_BYTES}

GRACEFUL_SECONDS = 5
# Nobody wants to wait for an answer to end before an edit shows.
SHUTDOWN_SECONDS = "1"


def serve(host: str, port: int) -> int:
    problem = port_problem(host, port)
    if problem is not None:
        print(problem)
        return 1
    settings = Settings()
    os.environ.setdefault("SHUTDOWN_SECONDS", SHUTDOWN_SECONDS)
    os.environ.setdefault("OPENAPI_JSON", "true")
    with running_database(settings) as url, ExitStack() as stack:
        upgrade(url)
        if settings.is_demo:
            print("No OPENAI_API_KEY: the built-in demo model answers.")
        print(f"The chat is at {address(host, port)} (Ctrl-C ends it)", flush=True)
        for name in COMPANIONS:
            stack.enter_context(importlib.import_module(name).beside(host, port))
        uvicorn.run(
            "app.main:create_app",
            factory=True,
            host=host,
            port=port,
            reload=True,
            reload_dirs=[str(PROJECT_ROOT / name) for name in ("app", "engine")],
            reload_includes=["*.py", "*.md"],
            # Nothing stands in front that would have to be believed.
            proxy_headers=False,
            **HTTP,
            ws="none",  # nothing here speaks WebSocket, and importing it takes time
            timeout_graceful_shutdown=GRACEFUL_SECONDS,
            log_level=settings.log_level.lower(),
        )
    return 0


def port_problem(host: str, port: int) -> str | None:
    """Why nothing can listen at `host:port`, with a port that is free; None when it can."""
    try:
        _listen(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return f"Cannot listen on {host}:{port}: {error.strerror or error}."
        free = free_port(host, port + 1)
        hint = f" Port {free} is free: python -m app dev --port {free}" if free else ""
        return f"Port {port} is taken by another program.{hint}"
    return None


def free_port(host: str, first: int) -> int | None:
    """The first free one of a hundred."""
    return next((port for port in range(first, first + 100) if _is_free(host, port)), None)


def address(host: str, port: int) -> str:
    """What to type into a browser on this machine."""
    shown = "127.0.0.1" if host in {"0.0.0.0", "::"} else host  # noqa: S104 — shown, not bound
    return f"http://{shown}:{port}"


def _is_free(host: str, port: int) -> bool:
    try:
        _listen(host, port)
    except (OSError, OverflowError):
        return False
    return True


def _listen(host: str, port: int) -> None:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, kind, protocol) as probe:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            # As the server itself does: a port whose last connections are closing is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(address)
        probe.listen(1)
