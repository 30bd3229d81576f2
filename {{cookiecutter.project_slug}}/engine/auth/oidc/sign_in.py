"""Sign-in at an OpenID provider (authorization code flow with PKCE), followed by a session here."""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from html import escape

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from engine.auth.base import OwnData
from engine.auth.cookies import Cookie, drop_cookie, set_cookie
from engine.auth.oidc.openid import (
    Attempt,
    Identity,
    NotConfigured,
    OidcSettings,
    Provider,
    ProviderUnreachable,
    SignInFailed,
    UnusableProvider,
    configured_provider,
    name_of,
    user_id,
)
from engine.auth.oidc.rows import IdTokenStore
from engine.auth.sessions.forms import (
    COLOR_SCHEME,
    PAGE_HEADERS,
    FormTokens,
    read_form,
    return_path,
)
from engine.auth.sessions.own_data import YOUR_DATA, OwnDataPages
from engine.auth.sessions.sessions import COOKIE, SessionAuth, Sessions
from engine.database.database import Database
from engine.http.addresses import Addresses
from engine.http.audit import record
from engine.http.home import home_path, home_url
from engine.settings.settings import Settings
from engine.text.locales import Translatable, direction_of, language_of, translate

SIGN_IN = "/sign-in"
CALLBACK = "/sign-in/callback"
SIGN_OUT = "/sign-out"
SIGNED_OUT = "/signed-out"

ATTEMPT_SECONDS = 600

logger = logging.getLogger(__name__)


class OidcAuth(SessionAuth):
    name = "oidc"

    def __init__(
        self, settings: Settings, database: Database, oidc_settings: OidcSettings | None = None
    ) -> None:
        sessions = Sessions(database)
        super().__init__(sessions)
        oidc = oidc_settings or OidcSettings()
        id_tokens = IdTokenStore(database)
        self.pages = OidcPages(settings, oidc, sessions, id_tokens)
        self.lets_in = (
            f"everybody who can sign in at {oidc.discovery_url.host}"
            if oidc.discovery_url
            else "nobody yet: set OIDC_DISCOVERY_URL, OIDC_CLIENT_ID and OIDC_CLIENT_SECRET in .env"
        )
        self._chat_settings = settings

    def own_data_routes(self, own: OwnData) -> Sequence[APIRouter]:
        return (OwnDataPages(self._chat_settings, self.sessions, own).router,)


class OidcPages:
    """The routes of signing in and out."""

    sign_in = SIGN_IN
    sign_out = SIGN_OUT
    windows: tuple[str, ...] = (SIGN_IN,)
    account: str | None = YOUR_DATA

    def __init__(
        self,
        settings: Settings,
        oidc: OidcSettings,
        sessions: Sessions,
        id_tokens: IdTokenStore,
    ) -> None:
        self._site = settings.application_name
        self._addresses = Addresses(settings)
        self._settings = oidc
        self._provider = configured_provider(oidc)
        self._public_url = str(oidc.public_url).rstrip("/") if oidc.public_url else None
        self._sessions = sessions
        self._id_tokens = id_tokens
        self._forms = FormTokens(settings, COOKIE)
        self.router = APIRouter(include_in_schema=False, lifespan=self._lifespan)
        self.router.add_api_route(SIGN_IN, self._begin, methods=["GET"])
        self.router.add_api_route(CALLBACK, self._finish, methods=["GET"])
        self.router.add_api_route(SIGN_OUT, self._sign_out, methods=["POST"])
        self.router.add_api_route(SIGNED_OUT, self._show_signed_out, methods=["GET"])

    def form_token(self, request: Request) -> str:
        return self._forms.token(self._forms.secret(request))

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        """Check the provider in the background: users with a session do not need it."""
        task = asyncio.create_task(self._report_unusable())
        yield
        task.cancel()

    async def _report_unusable(self) -> None:
        try:
            if self._provider is not None:
                await Provider(self._settings).metadata()
        except UnusableProvider as error:
            logger.warning("sign-in is not possible: %s", str(error))
        except ProviderUnreachable as error:
            logger.warning("sign-in is not possible until the OpenID provider answers: %s", error)

    async def _begin(self, request: Request) -> Response:
        attempt = Attempt.new(return_path(request, request.query_params.get("next")))
        try:
            provider = self._configured()
            url = await provider.authorization_url(attempt, self._at(request, CALLBACK))
        except NotConfigured:
            return self._not_configured(request)
        except ProviderUnreachable as error:
            return self._provider_unreachable(request, error)
        response = RedirectResponse(url, 303, headers=PAGE_HEADERS)
        set_cookie(request, response, Cookie(attempt.cookie, str(attempt), ATTEMPT_SECONDS))
        return response

    async def _finish(self, request: Request) -> Response:
        try:
            attempt = Attempt.of(request)
            identity = await self._identity(request, attempt)
        except NotConfigured:
            return self._not_configured(request)
        except ProviderUnreachable as error:
            return self._provider_unreachable(request, error)
        except SignInFailed as error:
            # `%r`, because it may quote the request, which anybody can send.
            logger.warning("sign-in failed: %r", str(error))
            record("signing in refused", self._addresses.of(request), reason="sign_in_failed")
            text = "That did not work. Please try again."
            return self._page(request, 400, ("You are not signed in", text))
        response = RedirectResponse(attempt.return_to, 303, headers=PAGE_HEADERS)
        drop_cookie(request, response, attempt.cookie)
        claims = identity.claims
        session = await self._sessions.start(request, response, user_id(claims), name_of(claims))
        record("signed in", self._addresses.of(request), user_id=session.user_id)
        await self._id_tokens.keep(session, identity.token)
        return response

    async def _identity(self, request: Request, attempt: Attempt) -> Identity:
        provider = self._configured()
        answer = request.query_params
        if "error" in answer:
            raise SignInFailed(f"the provider says {answer['error']}")
        # A provider may send its issuer (RFC 9207).
        if answer.get("iss", issuer := (await provider.metadata())["issuer"]) != issuer:
            raise SignInFailed("another provider answered")
        return await provider.identity(attempt, self._at(request, CALLBACK), answer.get("code", ""))

    async def _sign_out(self, request: Request) -> Response:
        self._forms.check(request, (await read_form(request)).get("form_token", ""))
        session = await self._sessions.find(request)
        who = session.user_id if session else None
        record("signed out", self._addresses.of(request), user_id=who)
        url = await self._sign_out_url(request)
        # A redirect to the provider would be blocked: `form-action 'self'` covers redirects too.
        response = (
            self._signed_out(request, on_to=url)
            if url
            else RedirectResponse(home_path(request) + SIGNED_OUT, 303, PAGE_HEADERS)
        )
        await self._sessions.end(request, response)
        return response

    async def _sign_out_url(self, request: Request) -> str | None:
        if self._provider is None:
            return None
        session = await self._sessions.find(request)
        id_token = await self._id_tokens.of(session) if session else None
        return await self._provider.sign_out_url(self._at(request, SIGNED_OUT), id_token)

    async def _show_signed_out(self, request: Request) -> Response:
        return self._signed_out(request)

    def _configured(self) -> Provider:
        if self._provider is None:
            raise NotConfigured
        return self._provider

    def _at(self, request: Request, path: str) -> str:
        """The URL of a path on this server, as the browser sees it."""
        return f"{self._public_url or home_url(request).rstrip('/')}{path}"

    def _not_configured(self, request: Request) -> Response:
        return self._page(
            request,
            503,
            (
                "Nobody can sign in yet",
                Translatable(
                    "Register this application at your OpenID provider, then set OIDC_DISCOVERY_URL, "
                    "OIDC_CLIENT_ID and OIDC_CLIENT_SECRET in .env and restart. docs/configure.md says more. "
                    "The redirect address is: {address}",
                    address=self._at(request, CALLBACK),
                ),
            ),
        )

    def _signed_out(self, request: Request, on_to: str | None = None) -> Response:
        return self._page(request, 200, ("You are signed out", "See you again."), on_to)

    def _provider_unreachable(self, request: Request, error: ProviderUnreachable) -> Response:
        logger.warning("the OpenID provider is not reachable: %s", error)
        text = "The sign-in service does not answer. Please try again in a moment."
        page = self._page(request, 503, ("Sign-in is not available", text))
        page.headers["Retry-After"] = "5"
        return page

    def _page(
        self, request: Request, status: int, message: tuple[str, str], on_to: str | None = None
    ) -> Response:
        """A page with a title and a text, which redirects to `on_to` if that is given."""
        title, text = message
        locale = request.headers.get("accept-language", "")
        say = partial(translate, locale=locale)
        refresh = f'<meta http-equiv="refresh" content="0; url={escape(on_to)}">' if on_to else ""
        html = PAGE.format(
            language=language_of(locale),
            direction=direction_of(language_of(locale)),
            color_scheme=COLOR_SCHEME,
            site=escape(self._site),
            title=escape(say(title)),
            text=escape(say(text)),
            home=home_path(request),
            sign_in_path=home_path(request) + SIGN_IN,
            sign_in=escape(say("Sign in")),
            refresh=refresh,
        )
        return HTMLResponse(html, status, PAGE_HEADERS)


PAGE = """<!doctype html>
<html lang="{language}" dir="{direction}" data-color-scheme="{color_scheme}">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    {refresh}
    <title>{title} · {site}</title>
    <link rel="icon" href="{home}/static/icon.svg" type="image/svg+xml">
    <link rel="stylesheet" href="{home}/static/theme.css">
    <link rel="stylesheet" href="{home}/static/page.css">
  </head>
  <body>
    <header class="masthead">
      <img src="{home}/static/icon.svg" alt="">
      <h1>{site}</h1>
    </header>
    <main>
      <section id="problem">
        <h2>{title}</h2>
        <p>{text}</p>
        <p><a href="{sign_in_path}">{sign_in}</a></p>
      </section>
    </main>
  </body>
</html>
"""
