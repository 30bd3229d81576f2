"""The page where a user who is signed in exports and erases all that is kept of them.

It works without scripts. Everything is in one page, and so is what is said after an erasure.
"""

import os
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from html import escape
from pathlib import Path
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from starlette.background import BackgroundTask

from engine.auth.base import OwnData
from engine.auth.sessions.forms import COLOR_SCHEME, PAGE_HEADERS, FormTokens, read_form
from engine.auth.sessions.rows import Session
from engine.auth.sessions.sessions import COOKIE, Sessions
from engine.http.addresses import Addresses
from engine.http.audit import record
from engine.http.errors import AppError, InvalidRequest
from engine.http.home import home_path
from engine.settings.settings import Settings
from engine.text.locales import direction_of, language_of, translate

YOUR_DATA = "/your-data"
EXPORT, ERASE = f"{YOUR_DATA}/export", f"{YOUR_DATA}/erase"

# Checks the password that a user typed; raises `AppError`.
Confirm = Callable[[str, str], Awaitable[None]]


class OwnDataPages:
    """`confirm` is for styles with passwords, which ask for it before an erasure."""

    def __init__(
        self, settings: Settings, sessions: Sessions, own: OwnData, confirm: Confirm | None = None
    ) -> None:
        self._site = settings.application_name
        self._addresses = Addresses(settings)
        self._forms = FormTokens(settings, COOKIE)
        self._sessions = sessions
        self._own = own
        self._confirm = confirm
        self.router = APIRouter(include_in_schema=False)
        self.router.add_api_route(YOUR_DATA, self._show, methods=["GET"])
        self.router.add_api_route(EXPORT, self._export, methods=["POST"])
        self.router.add_api_route(ERASE, self._erase, methods=["POST"])

    async def _show(self, request: Request) -> Response:
        session = await self._sessions.find(request)
        return self._to_sign_in(request) if session is None else self._page(request)

    async def _export(self, request: Request) -> Response:
        session, _form = await self._submitted(request)
        descriptor, name = tempfile.mkstemp(suffix=".zip")
        os.close(descriptor)
        try:
            await self._own.export(session.user_id, Path(name))
        except AppError as refusal:  # such as files that are out of reach
            os.unlink(name)
            return self._page(request, refusal)
        except BaseException:
            os.unlink(name)
            raise
        record("data exported", self._addresses.of(request), user_id=session.user_id)
        return FileResponse(
            name,
            media_type="application/zip",
            filename="your-data.zip",
            headers=dict(PAGE_HEADERS),
            background=BackgroundTask(os.unlink, name),
        )

    async def _erase(self, request: Request) -> Response:
        session, form = await self._submitted(request)
        try:
            if "sure" not in form:
                raise InvalidRequest("Please confirm that all of it is to be deleted.")
            if self._confirm is not None:
                await self._confirm(session.user_id, form.get("password", ""))
        except AppError as refusal:
            address = self._addresses.of(request)
            record("erasing refused", address, user_id=session.user_id, reason=refusal.code)
            return self._page(request, refusal)
        await self._own.erase(session.user_id)
        record("data erased", self._addresses.of(request))
        response = self._said(request, "Your data are erased.", "You are signed out for good.")
        await self._sessions.end(request, response)
        return response

    async def _submitted(self, request: Request) -> tuple[Session, dict[str, str]]:
        """The sender's session and the fields of the form. Raises `Unauthenticated` or `ForgedForm`."""
        form = await read_form(request)
        self._forms.check(request, form.get("form_token", ""))
        return await self._sessions.authenticate(request), form

    def _to_sign_in(self, request: Request) -> Response:
        home = home_path(request)
        after = urlencode({"next": f"{home}{YOUR_DATA}"})
        return RedirectResponse(f"{home}/sign-in?{after}", 303, PAGE_HEADERS)

    def _page(self, request: Request, refusal: AppError | None = None) -> Response:
        say = _speaker(request)
        home = home_path(request)
        token = f'<input name="form_token" type="hidden" value="{self._token(request)}">'
        password = (
            f'<p><label>{say("Your password")} <input name="password" type="password"'
            ' autocomplete="current-password" required></label></p>'
        )
        parts = [
            f'<p class="refusal" role="alert">{say(refusal.message)}</p>' if refusal else "",
            f'<form method="post" action="{home}{EXPORT}">',
            f"<p>{say(KEPT)}</p>{token}<p><button>{say('Download my data')}</button></p></form>",
            f'<form method="post" action="{home}{ERASE}"><p>{say(FOR_GOOD)}</p>',
            '<p><label><input name="sure" type="checkbox" required> ',
            f"{say('I want all of this to be deleted.')}</label></p>",
            password if self._confirm is not None else "",
            f"{token}<p><button>{say('Erase my data')}</button></p></form>",
        ]
        return self._html(
            request, "Your data", "\n".join(parts), refusal.status if refusal else 200
        )

    def _said(self, request: Request, title: str, text: str) -> Response:
        return self._html(request, title, f"<p>{_speaker(request)(text)}</p>")

    def _html(self, request: Request, title: str, content: str, status: int = 200) -> Response:
        language = language_of(request.headers.get("accept-language", ""))
        html = PAGE.format(
            language=language,
            direction=direction_of(language),
            color_scheme=COLOR_SCHEME,
            site=escape(self._site),
            title=_speaker(request)(title),
            content=content,
            home=home_path(request),
            back=_speaker(request)("To the chat"),
        )
        return HTMLResponse(html, status, PAGE_HEADERS)

    def _token(self, request: Request) -> str:
        return self._forms.token(self._forms.secret(request))


def _speaker(request: Request) -> Callable[[str], str]:
    say = partial(translate, locale=request.headers.get("accept-language", ""))
    return lambda text: escape(say(text))


KEPT = "Everything that is kept of you, as an archive: conversations, files, feedback and use."
FOR_GOOD = "All of it is deleted at once, and cannot be restored. Nobody can sign in with this account again."

PAGE = """<!doctype html>
<html lang="{language}" dir="{direction}" data-color-scheme="{color_scheme}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="robots" content="noindex">
    <title>{title} · {site}</title>
    <link rel="icon" href="{home}/static/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="{home}/static/theme.css">
    <link rel="stylesheet" href="{home}/static/page.css">
  </head>
  <body>
    <header class="masthead">
      <img src="{home}/static/icon.svg" alt="">
      <h1><a href="{home}/">{site}</a></h1>
    </header>
    <main>
      <section id="problem">
        <h2>{title}</h2>
        {content}
        <p><a href="{home}/">{back}</a></p>
      </section>
    </main>
  </body>
</html>
"""
