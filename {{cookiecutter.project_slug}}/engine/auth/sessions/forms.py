"""Forms with a CSRF token, and the path to return to afterwards."""

import hashlib
import hmac
import re
import secrets
from urllib.parse import parse_qsl

from fastapi import Request, Response

from engine.auth.cookies import Cookie, read_cookie, read_current_or_old_cookie, set_cookie
from engine.database.database import TABLE_PREFIX
from engine.http.errors import AppError, InvalidRequest
from engine.http.home import home_path
from engine.http.request_body import read_body
from engine.settings.settings import Settings

# The color scheme of the sign-in pages.
COLOR_SCHEME = "{{ cookiecutter.theme_color_scheme }}"

FORM_COOKIE = f"{TABLE_PREFIX}form"
MAX_FORM_BYTES = 20_000
MAX_FIELDS = 20

# For every page that signs in or out: not cached, not framed, and without a referrer for other sites.
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
}

# A path on this site. Browsers read "\\" as "/", and remove tabs and newlines from URLs.
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")


class ForgedForm(AppError):
    status = 403
    code = "forged_form"


class FormTokens:
    """CSRF tokens: each form contains a token that is derived from a cookie of the browser.

    It is the cookie of the session or, without a session, one that is set for forms only.
    """

    def __init__(self, settings: Settings, session_cookie: str) -> None:
        *previous, current = [key.encode() for key in settings.signing_keys]
        self._keys = [current, *previous]
        self._session_cookie = session_cookie

    def secret(self, request: Request) -> str:
        """The secret in the browser's cookie, or a new one."""
        return self._secret(request) or secrets.token_urlsafe(32)

    def token(self, secret: str) -> str:
        return _token(self._keys[0], secret)

    def remember(self, request: Request, response: Response, secret: str) -> None:
        """Set the cookie with the secret if it is a new one."""
        if self._secret(request) is None:
            set_cookie(request, response, Cookie(FORM_COOKIE, secret))

    def check(self, request: Request, token: str) -> None:
        """Raises `ForgedForm` unless the token belongs to this browser."""
        secret = self._secret(request)
        if secret is None:
            raise ForgedForm(
                "Your browser sent no cookie with this form. Please allow cookies for this site, "
                "then try again."
            )
        is_valid = any(
            hmac.compare_digest(_token(key, secret).encode(), token.encode("utf-8", "replace"))
            for key in self._keys
        )
        if not is_valid:
            raise ForgedForm("This form was open for too long, or is not ours. Please try again.")

    def _secret(self, request: Request) -> str | None:
        session = read_current_or_old_cookie(request, self._session_cookie)
        return session or read_cookie(request, FORM_COOKIE)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a URL-encoded form; of a repeated field, the last value.

    Raises `RequestTooLarge`, `RequestTimedOut` or `InvalidRequest`.
    """
    body = await read_body(request, MAX_FORM_BYTES)
    try:
        text = body.decode()
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise InvalidRequest("This is not a form.") from None
    return dict(fields)


def return_path(request: Request, wanted: str | None) -> str:
    """The path to go to after signing in: `wanted` if it is a path on this server, else the chat."""
    is_path = wanted is not None and _PATH.fullmatch(wanted)
    return wanted if wanted and is_path else f"{home_path(request)}/"


def _token(key: bytes, secret: str) -> str:
    return hmac.new(key, f"form\0{secret}".encode(), hashlib.sha256).hexdigest()
