"""Forms that only a page of this server can send, and where to go afterwards."""

import hashlib
import hmac
import re
import secrets
from urllib.parse import parse_qsl

from fastapi import Request, Response

from engine.auth.cookies import read_cookie, read_lasting_cookie, set_cookie
from engine.database.database import TABLE_PREFIX
from engine.http.errors import AppError, InvalidRequest, RequestTooLarge
from engine.http.home import home_path
from engine.http.request_body import BODY_SECONDS, timed_chunks
from engine.settings.settings import Settings

# What the pages of signing in say and look like.
SITE = "{{ cookiecutter.__project_name }}"
COLOR_SCHEME = "{{ cookiecutter.theme_color_scheme }}"

FORM_COOKIE = f"{TABLE_PREFIX}form"
MAX_FORM_BYTES = 20_000
MAX_FIELDS = 20

# Of every page that signs in or out. None is kept, framed or tells other sites where one was.
PAGE_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
}

# On this site. Browsers read "\\" as "/", and drop tabs and newlines before they look at all.
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")


class ForgedForm(AppError):
    status = 403
    code = "forged_form"


class FormTokens:
    """Each form carries a token that is derived from a cookie which no other site knows or sets.

    That of a session is bound to it; a browser without one gets a cookie for this alone.
    """

    def __init__(self, settings: Settings, session_cookie: str) -> None:
        *previous, current = [key.encode() for key in settings.signing_keys]
        self._keys = [current, *previous]
        self._session_cookie = session_cookie

    def secret(self, request: Request) -> str:
        """What the browser's forms are derived from; a new secret if it has none yet."""
        return self._secret(request) or secrets.token_urlsafe(32)

    def token(self, secret: str) -> str:
        return _token(self._keys[0], secret)

    def remember(self, request: Request, response: Response, secret: str) -> None:
        """Give the browser the secret that its forms were derived from, if it was a new one."""
        if self._secret(request) is None:
            set_cookie(request, response, FORM_COOKIE, secret)

    def check(self, request: Request, token: str) -> None:
        """Raises `ForgedForm` unless the form was this browser's."""
        secret = self._secret(request)
        good = secret is not None and any(
            hmac.compare_digest(_token(key, secret).encode(), token.encode("utf-8", "replace"))
            for key in self._keys
        )
        if not good:
            raise ForgedForm("This form was open for too long, or is not ours. Please try again.")

    def _secret(self, request: Request) -> str | None:
        session = read_lasting_cookie(request, self._session_cookie)
        return session or read_cookie(request, FORM_COOKIE)


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form as browsers send it by default; of a repeated one, the last.

    Raises `RequestTooLarge`, `RequestTimedOut` or `InvalidRequest`.
    """
    body = bytearray()
    async for chunk in timed_chunks(request, BODY_SECONDS):
        body += chunk
        if len(body) > MAX_FORM_BYTES:
            raise RequestTooLarge(f"A form has at most {MAX_FORM_BYTES} bytes.")
    try:
        text = bytes(body).decode()
        fields = parse_qsl(text, keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
    except ValueError:
        raise InvalidRequest("This is not a form.") from None
    return dict(fields)


def return_path(request: Request, wanted: str | None) -> str:
    """Where to go after signing in: a path on this server, whatever was asked for."""
    is_path = wanted is not None and _PATH.fullmatch(wanted)
    return wanted if wanted and is_path else f"{home_path(request)}/"


def _token(key: bytes, secret: str) -> str:
    return hmac.new(key, f"form\0{secret}".encode(), hashlib.sha256).hexdigest()
