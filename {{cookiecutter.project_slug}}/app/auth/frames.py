"""Signing in where the chat is a frame in another site's page: in a window of its own.

Nobody should type a password where no address bar says whose page it is, and providers refuse to
be framed. But a frame on another site's page has cookies of its own, so what began in a window has
to be brought over: the window gives the frame a code, as only windows of one origin can, and the
frame gets a session for it.
"""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from functools import partial
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from app.auth.forms import PAGE_HEADERS, read_form
from app.auth.frame_texts import TRANSLATIONS
from app.auth.sessions import Sessions
from app.config import Settings
from app.errors import Unauthenticated
from app.locales import language_of, translate
from app.stores.sessions import Session

WINDOW = "/sign-in/frame"
CODE = "/sign-in/frame/code"

CODE_SECONDS = 60


class FrameCodes:
    """A code is good for a minute, and for as long as the session that it comes from."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        *previous, current = [key.encode() for key in settings.signing_keys]
        self._keys = [current, *previous]
        self._clock = clock

    def code(self, session: Session) -> str:
        content = json.dumps([session.user_id, session.id, self._clock() + CODE_SECONDS])
        text = base64.urlsafe_b64encode(content.encode()).decode()
        return f"{text}.{_signature(self._keys[0], text)}"

    def read(self, code: str) -> tuple[str, str]:
        """The ids of the user and of the session. Raises `Unauthenticated`."""
        text, _, signature = code.partition(".")
        if not any(
            hmac.compare_digest(_signature(key, text).encode(), signature.encode())
            for key in self._keys
        ):
            raise Unauthenticated("This code is not ours.")
        user_id, session_id, end = json.loads(base64.urlsafe_b64decode(text))
        if end < self._clock():
            raise Unauthenticated("This code came too late. Please sign in again.")
        return user_id, session_id


def frame_routes(settings: Settings, sessions: Sessions, sign_in: str) -> APIRouter:
    """The window's last page, the code that it asks for, and what the frame does with that."""
    codes = FrameCodes(settings)
    router = APIRouter(include_in_schema=False)

    @router.get(WINDOW)
    async def window(request: Request) -> Response:
        if await sessions.find(request) is None:
            return RedirectResponse(f"{sign_in}?{urlencode({'next': WINDOW})}", 303, PAGE_HEADERS)
        return _window_page(request.headers.get("Accept-Language", ""))

    @router.post(CODE)
    async def code(request: Request, response: Response) -> dict[str, str]:
        response.headers["Cache-Control"] = "no-store"
        return {"code": codes.code(await sessions.authenticate(request))}

    @router.post(WINDOW, status_code=204)
    async def enter(request: Request, response: Response) -> None:
        user_id, session_id = codes.read((await read_form(request)).get("code", ""))
        session = await sessions.store.find(user_id, session_id)
        if session is None:
            raise Unauthenticated("You are not signed in, or no longer.")
        await sessions.start(request, response, user_id, session.name)

    return router


def _signature(key: bytes, text: str) -> str:
    return hmac.new(key, f"frame\0{text}".encode(), hashlib.sha256).hexdigest()


def _window_page(locale: str) -> HTMLResponse:
    """Its module closes the window; what it says is for whoever came without a frame."""
    say = partial(translate, locale=locale, own=TRANSLATIONS)
    html = PAGE.format(
        language=language_of(locale),
        title=say("You are signed in"),
        text=say("You can close this window and go on in the chat."),
        here=say("Or chat here"),
    )
    return HTMLResponse(html, headers=PAGE_HEADERS)


PAGE = """<!doctype html>
<html lang="{language}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>{title}</title>
    <link rel="icon" href="/static/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="/static/theme.css">
    <link rel="stylesheet" href="/static/page.css">
    <script src="/static/js/signed-in.js" type="module"></script>
  </head>
  <body>
    <main>
      <section id="problem">
        <h1>{title}</h1>
        <p>{text}</p>
        <p><a href="/">{here}</a></p>
      </section>
    </main>
  </body>
</html>
"""
