"""What the styles that know a browser by its cookie share."""

from fastapi import Request, Response

LOOPBACK_HOSTS = {"localhost", "127.0.0.1", "::1"}


def set_cookie(
    request: Request, response: Response, name: str, value: str, max_age: int | None = None
) -> None:
    """A cookie that neither scripts nor other sites' requests get; without `max_age` it goes when
    the browser is closed.
    """
    response.set_cookie(
        name,
        value,
        max_age=max_age,
        path="/",
        secure=_needs_https(request),
        httponly=True,
        samesite="lax",
    )


def drop_cookie(request: Request, response: Response, name: str) -> None:
    set_cookie(request, response, name, "", 0)


def _needs_https(request: Request) -> bool:
    """Browsers drop `Secure` cookies on plain HTTP; only development on this machine may do without.

    Behind a proxy that ends TLS the scheme may read `http`, hence the look at the host.
    """
    return request.url.scheme == "https" or request.url.hostname not in LOOPBACK_HOSTS
