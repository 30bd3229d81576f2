"""The pages of accounts: sign in, sign up, sign out, change the password. They work without scripts."""

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from engine.auth.password.accounts import (
    NAME_LENGTH,
    PASSWORD_LENGTH,
    Accounts,
    SignUpClosed,
    WrongCredentials,
    invalid_fields,
)
from engine.auth.sessions.forms import (
    COLOR_SCHEME,
    PAGE_HEADERS,
    FormTokens,
    read_form,
    return_path,
)
from engine.auth.sessions.sessions import COOKIE, Sessions
from engine.database.database import DatabaseUnreachable
from engine.http.addresses import Addresses
from engine.http.audit import record
from engine.http.errors import AppError, Unauthenticated, Unavailable
from engine.http.home import home_path
from engine.settings.settings import Settings
from engine.text.locales import Translatable, direction_of, language_of, translate

SIGN_IN, SIGN_UP, SIGN_OUT, ACCOUNT = "/sign-in", "/sign-up", "/sign-out", "/account"

Form = dict[str, str]


class AccountPages:
    sign_in = SIGN_IN
    sign_out = SIGN_OUT
    windows: tuple[str, ...] = (SIGN_IN, SIGN_UP)
    account: str | None = ACCOUNT

    def __init__(self, settings: Settings, accounts: Accounts, sessions: Sessions) -> None:
        self._accounts = accounts
        self._sessions = sessions
        self._addresses = Addresses(settings)
        self._forms = FormTokens(settings, COOKIE)
        self._templates = _templates(settings.application_name)
        self.router = self._routes()

    def form_token(self, request: Request) -> str:
        return self._forms.token(self._forms.secret(request))

    def _routes(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route(SIGN_IN, self._show_sign_in, methods=["GET"])
        router.add_api_route(SIGN_IN, self._post_sign_in, methods=["POST"])
        router.add_api_route(SIGN_UP, self._show_sign_up, methods=["GET"])
        router.add_api_route(SIGN_UP, self._post_sign_up, methods=["POST"])
        router.add_api_route(SIGN_OUT, self._post_sign_out, methods=["POST"])
        router.add_api_route(ACCOUNT, self._show_account, methods=["GET"])
        router.add_api_route(ACCOUNT, self._post_account, methods=["POST"])
        return router

    async def _show_sign_in(self, request: Request) -> Response:
        if await self._sessions.find(request) is not None:
            return _redirect(return_path(request, request.query_params.get("next")))
        return self._page(request, "sign_in.html")

    async def _post_sign_in(self, request: Request) -> Response:
        async def sign_in(form: Form) -> Response:
            address = self._addresses.of(request)
            ticket = await self._accounts.sign_in(form["name"], form["password"], address)
            record("signed in", address, user_id=ticket.user_id)
            response = _redirect(return_path(request, form.get("next")))
            await self._sessions.replace_session(request, response, ticket)
            return response

        return await self._submit(request, "sign_in.html", "signing in", sign_in)

    async def _show_sign_up(self, request: Request) -> Response:
        if not self._accounts.is_open:
            refusal = SignUpClosed("New accounts are made by whoever runs this site.")
            return self._page(request, "sign_in.html", refusal)
        return self._page(request, "sign_up.html")

    async def _post_sign_up(self, request: Request) -> Response:
        async def sign_up(form: Form) -> Response:
            address = self._addresses.of(request)
            ticket = await self._accounts.sign_up(form["name"], form["password"], address)
            record("signed up", address, user_id=ticket.user_id)
            response = _redirect(return_path(request, form.get("next")))
            await self._sessions.replace_session(request, response, ticket)
            return response

        return await self._submit(request, "sign_up.html", "signing up", sign_up)

    async def _post_sign_out(self, request: Request) -> Response:
        async def sign_out(_form: Form) -> Response:
            response = _redirect(home_path(request) + SIGN_IN)
            session = await self._sessions.find(request)
            await self._sessions.end(request, response)
            address, user_id = self._addresses.of(request), session.user_id if session else None
            record("signed out", address, user_id=user_id)
            return response

        return await self._submit(request, "sign_in.html", "signing out", sign_out)

    async def _show_account(self, request: Request) -> Response:
        session = await self._sessions.find(request)
        if session is None:
            to_account = urlencode({"next": home_path(request) + ACCOUNT})
            return _redirect(f"{home_path(request)}{SIGN_IN}?{to_account}")
        return self._page(request, "account.html", form={"name": session.name or ""})

    async def _post_account(self, request: Request) -> Response:
        async def change(form: Form) -> Response:
            session = await self._sessions.find(request)
            if session is None:
                raise Unauthenticated("You are not signed in, or no longer.")
            form["name"] = session.name or ""
            ticket = await self._accounts.change_password(
                session.user_id, form["password"], form["new_password"]
            )
            record("password changed", self._addresses.of(request), user_id=session.user_id)
            response = _redirect(f"{home_path(request)}{ACCOUNT}?changed")
            await self._sessions.replace_session(request, response, ticket)
            return response

        return await self._submit(request, "account.html", "changing the password", change)

    async def _submit(
        self,
        request: Request,
        template: str,
        event: str,
        act: Callable[[Form], Awaitable[Response]],
    ) -> Response:
        """The response of `act` to the form, or the page again with the error."""
        form: Form = {}
        try:
            form |= {"name": "", "password": "", "new_password": ""} | await read_form(request)
            self._forms.check(request, form.get("form_token", ""))
            return await act(form)
        except DatabaseUnreachable as error:
            return self._page(request, template, Unavailable(str(error)), form)
        except AppError as refusal:
            user_id = refusal.user_id if isinstance(refusal, WrongCredentials) else None
            address = self._addresses.of(request)
            record(f"{event} refused", address, user_id=user_id, reason=refusal.code)
            return self._page(request, template, refusal, form)

    def _page(
        self,
        request: Request,
        template: str,
        refusal: AppError | None = None,
        form: Form | None = None,
    ) -> Response:
        form = form or {}
        locale = request.headers.get("accept-language", "")
        say = partial(translate, locale=locale)
        secret = self._forms.secret(request)
        language = language_of(locale)
        page = self._templates.get_template(template).render(
            language=language,
            direction=direction_of(language),
            say=say,
            refusal=say(refusal.message) if refusal else None,
            invalid=invalid_fields(refusal),
            state=partial(_state, refusal),
            is_changed="changed" in request.query_params,
            form_token=self._forms.token(secret),
            name=form.get("name", ""),
            next=return_path(request, form.get("next") or request.query_params.get("next")),
            home=home_path(request),
            is_open=self._accounts.is_open,
        )
        headers = PAGE_HEADERS | dict(refusal.headers if refusal else {})
        # Browsers would answer this header with a password dialog of their own.
        headers.pop("WWW-Authenticate", None)
        response = HTMLResponse(page, refusal.status if refusal else 200, headers)
        self._forms.remember(request, response, secret)
        return response


def _state(refusal: AppError | None, field: str, hint: str = "") -> dict[str, str | None]:
    """The attributes with which screen readers say at a field why the form was refused."""
    invalid = invalid_fields(refusal)
    is_described = refusal is not None and (field in invalid or not invalid)
    described = " ".join(filter(None, ["refusal" if is_described else "", hint]))
    return {
        "aria-invalid": "true" if field in invalid else None,
        "aria-describedby": described or None,
    }


def _templates(site: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        site=site,
        Translatable=Translatable,
        color_scheme=COLOR_SCHEME,
        name_length=NAME_LENGTH,
        password_length=PASSWORD_LENGTH,
    )
    return environment


def _redirect(path: str) -> RedirectResponse:
    return RedirectResponse(path, 303, PAGE_HEADERS)
