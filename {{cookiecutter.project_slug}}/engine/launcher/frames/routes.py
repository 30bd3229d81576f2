"""Sign-in in a window of its own, for the chat in a frame on another site's page.

A frame has no address bar that shows where a password goes, and identity providers refuse to be
framed. A frame on another site's page has separate cookies, so the session of the window has to be
transferred: the window passes a code to the frame, which is possible within one origin only, and
the frame exchanges the code for a session.
"""

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from engine.auth.base import MAX_USER_ID_LENGTH
from engine.auth.sessions.forms import PAGE_HEADERS, read_form
from engine.auth.sessions.rows import Session
from engine.auth.sessions.sessions import SessionAuth, Ticket
from engine.chat import Chat
from engine.http.addresses import Addresses
from engine.http.audit import record
from engine.http.errors import Unauthenticated
from engine.http.home import home_path
from engine.launcher.frames.rows import FrameCodeStore
from engine.text.locales import direction_of, language_of, translate

WINDOW = "/sign-in/frame"
CODE = "/sign-in/frame/code"

INVALID_CODE = "This code came too late or was used already. Please sign in again."


@dataclass(frozen=True)
class FrameCode:
    """A code that can be exchanged once, within a minute, while the window's session lasts.

    A row has a hash of the secret, so that every worker can check it.
    """

    user_id: str
    session_id: str
    secret: str

    @classmethod
    def new(cls, session: Session) -> "FrameCode":
        return cls(session.user_id, session.id, secrets.token_urlsafe(32))

    @classmethod
    def parse(cls, code: str) -> "FrameCode":
        """Raises `Unauthenticated`."""
        try:
            parts = json.loads(base64.urlsafe_b64decode(code))
        except ValueError:
            raise Unauthenticated(INVALID_CODE) from None
        match parts:
            case [str(user_id), str(session_id), str(secret)] if _is_storable(user_id, session_id):
                return cls(user_id, session_id, secret)
        raise Unauthenticated(INVALID_CODE)

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.secret.encode("utf-8", "replace")).hexdigest()

    def __str__(self) -> str:
        content = json.dumps([self.user_id, self.session_id, self.secret])
        return base64.urlsafe_b64encode(content.encode()).decode()


def sign_in_frames(chat: Chat, _app: FastAPI) -> APIRouter:
    """The last page of the window, the route for its code, and the route of the exchange.

    For `Chat(..., extensions=[launcher, sign_in_frames])`. A way to sign in without sessions needs no
    codes, and gets no routes.
    """
    router = APIRouter(include_in_schema=False)
    authenticator = chat.authenticator
    if not isinstance(authenticator, SessionAuth) or authenticator.pages is None:
        return router
    sessions, sign_in = authenticator.sessions, authenticator.pages.sign_in
    codes = FrameCodeStore(chat.database, sessions.store)
    addresses = Addresses(chat.settings)

    @router.get(WINDOW)
    async def window(request: Request) -> Response:
        if await sessions.find(request) is None:
            home = home_path(request)
            address = f"{home}{sign_in}?{urlencode({'next': home + WINDOW})}"
            return RedirectResponse(address, 303, PAGE_HEADERS)
        return _window_page(request)

    @router.post(CODE)
    async def code(request: Request, response: Response) -> dict[str, str]:
        response.headers["Cache-Control"] = "no-store"
        code = FrameCode.new(await sessions.authenticate(request))
        await codes.save(code.user_id, code.session_id, code.digest)
        return {"code": str(code)}

    @router.post(WINDOW, status_code=204)
    async def enter(request: Request, response: Response) -> None:
        code = FrameCode.parse((await read_form(request)).get("code", ""))
        ticket = Ticket.new(code.user_id)
        session = await codes.exchange(
            code.user_id, code.session_id, code.digest, ticket.session_id
        )
        if session is None:
            record("a frame's code refused", addresses.of(request), reason="unauthenticated")
            raise Unauthenticated(INVALID_CODE)
        record("signed in by a frame's code", addresses.of(request), user_id=session.user_id)
        await sessions.replace_session(request, response, ticket)

    return router


def _is_storable(*ids: str) -> bool:
    return all(0 < len(text) <= MAX_USER_ID_LENGTH and text.isprintable() for text in ids)


def _window_page(request: Request) -> HTMLResponse:
    """A page whose script closes the window; its text is for a window that no frame opened."""
    locale = request.headers.get("Accept-Language", "")
    say = partial(translate, locale=locale)
    html = PAGE.format(
        home=home_path(request),
        language=language_of(locale),
        direction=direction_of(language_of(locale)),
        title=say("You are signed in"),
        text=say("You can close this window and go on in the chat."),
        here=say("Or chat here"),
    )
    return HTMLResponse(html, headers=PAGE_HEADERS)


PAGE = """<!doctype html>
<html lang="{language}" dir="{direction}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>{title}</title>
    <link rel="icon" href="{home}/static/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="{home}/static/theme.css">
    <link rel="stylesheet" href="{home}/static/page.css">
    <script src="{home}/static/launcher/signed-in.js" type="module"></script>
  </head>
  <body>
    <main>
      <section id="problem">
        <h1>{title}</h1>
        <p>{text}</p>
        <p><a href="{home}/">{here}</a></p>
      </section>
    </main>
  </body>
</html>
"""
