"""What the styles that know a browser by its cookie share."""

from fastapi import Request, Response

LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}

# A browser takes a cookie of such a name over HTTPS alone, and from no neighbour under the same
# domain (RFC 6265bis, section 4.1.3.2).
PREFIX = "__Host-"


def set_cookie(
    request: Request, response: Response, name: str, value: str, max_age: int | None = None
) -> None:
    """A cookie that neither scripts nor other sites' requests get; without `max_age` it goes when
    the browser is closed. Over HTTPS its name begins with `__Host-`.
    """
    full_name = _full_name(request, name)
    if full_name != name and name in request.cookies:
        _give(request, response, name, "", 0)
    _give(request, response, full_name, value, max_age)


def drop_cookie(request: Request, response: Response, name: str) -> None:
    set_cookie(request, response, name, "", 0)


def read_cookie(request: Request, name: str) -> str | None:
    """The value of a cookie that `set_cookie` has set."""
    return request.cookies.get(_full_name(request, name))


def read_lasting_cookie(request: Request, name: str) -> str | None:
    """The same, or that of a browser which got it before its name began with `__Host-`."""
    return read_cookie(request, name) or request.cookies.get(name)


def rename_cookie(request: Request, response: Response, name: str, max_age: int) -> None:
    """Give such a browser the same value under the name that it has today."""
    full_name = _full_name(request, name)
    if full_name not in request.cookies and (value := request.cookies.get(name)):
        set_cookie(request, response, name, value, max_age)


def _full_name(request: Request, name: str) -> str:
    return f"{PREFIX}{name}" if _needs_https(request) else name


def _give(request: Request, response: Response, name: str, value: str, max_age: int | None) -> None:
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path="/",
        secure=_needs_https(request),
        httponly=True,
        samesite="lax",
    )


def _needs_https(request: Request) -> bool:
    """Browsers drop `Secure` cookies on plain HTTP; only development on this machine may do without.

    Behind a proxy that ends TLS the scheme may read `http`, hence the look at the host.
    """
    return request.url.scheme == "https" or request.url.hostname not in LOOPBACK_HOSTS
