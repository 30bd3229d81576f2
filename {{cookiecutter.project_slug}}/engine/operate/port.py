"""Finds out whether a server can listen at a port."""

import errno
import socket


def port_problem(host: str, port: int) -> str | None:
    """Why nothing can listen at `host:port`, with a port that is free; None when it can."""
    try:
        _listen(host, port)
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            return f"Cannot listen on {host}:{port}: {error.strerror or error}."
        free = free_port(host, port + 1)
        hint = f" Port {free} is free: python3 -m app dev --port {free}" if free else ""
        return f"Port {port} is taken by another program.{hint}"
    return None


def free_port(host: str, first: int) -> int | None:
    """The first free one of a hundred."""
    return next((port for port in range(first, first + 100) if _is_free(host, port)), None)


def address(host: str, port: int) -> str:
    """The URL of the server for a browser on this machine."""
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
