"""Cookies that sign a browser in."""

from dataclasses import dataclass, replace

from fastapi import Request, Response

LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}

# Browsers accept a cookie with this prefix over HTTPS only, and not from other hosts of the same
# domain (RFC 6265bis, section 4.1.3.2).
PREFIX = "__Host-"


@dataclass(frozen=True)
class Cookie:
    """`max_age` is in seconds; without it, the cookie ends with the browser session."""

    name: str
    value: str
    max_age: int | None = None


def set_cookie(request: Request, response: Response, cookie: Cookie) -> None:
    """Set a cookie that is hidden from scripts and not sent with requests of other sites.

    Over HTTPS its name begins with `__Host-`.
    """
    full_name = _full_name(request, cookie.name)
    if full_name != cookie.name and cookie.name in request.cookies:
        _set_one(request, response, Cookie(cookie.name, "", 0))
    _set_one(request, response, replace(cookie, name=full_name))


def drop_cookie(request: Request, response: Response, name: str) -> None:
    set_cookie(request, response, Cookie(name, "", 0))


def read_cookie(request: Request, name: str) -> str | None:
    """The value of a cookie that was set with `set_cookie`."""
    return request.cookies.get(_full_name(request, name))


def read_current_or_old_cookie(request: Request, name: str) -> str | None:
    """Like `read_cookie`, but also reads a cookie from before names began with `__Host-`."""
    return read_cookie(request, name) or request.cookies.get(name)


def rename_cookie(request: Request, response: Response, name: str, max_age: int) -> None:
    """Set a cookie from before names began with `__Host-` again under its current name."""
    full_name = _full_name(request, name)
    if full_name not in request.cookies and (value := request.cookies.get(name)):
        set_cookie(request, response, Cookie(name, value, max_age))


def _full_name(request: Request, name: str) -> str:
    return f"{PREFIX}{name}" if _needs_https(request) else name


def _set_one(request: Request, response: Response, cookie: Cookie) -> None:
    response.set_cookie(
        cookie.name,
        cookie.value,
        max_age=cookie.max_age,
        path="/",
        secure=_needs_https(request),
        httponly=True,
        samesite="lax",
    )


def _needs_https(request: Request) -> bool:
    """False only for plain HTTP on this machine, where browsers would drop `Secure` cookies.

    Behind a proxy that terminates TLS the scheme may be `http`, so the host decides.
    """
    return request.url.scheme == "https" or request.url.hostname not in LOOPBACK_HOSTS
