import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from html import unescape
from urllib.parse import parse_qs, parse_qsl, unquote_plus, urlsplit

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey
from sqlalchemy import select

from engine.auth.oidc import openid
from engine.auth.oidc.doctor import check
from engine.auth.oidc.openid import MAX_HINT_CHARS, Attempt, OidcSettings, user_id
from engine.auth.oidc.rows import IdTokenRow
from engine.auth.oidc.sign_in import ATTEMPT_SECONDS, OidcAuth
from engine.auth.sessions.sessions import COOKIE
from engine.database.database import Database
from engine.settings.finding import Finding
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.auth.oidc.openid_provider import Claims, OpenIdProvider, running_provider
from engine.tests.fixtures import serving
from engine.tests.talk import German, Visitor

CLIENT_ID = "chat"


@pytest.fixture(scope="module")
def provider_process() -> Iterator[OpenIdProvider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture
def provider(provider_process: OpenIdProvider, monkeypatch: pytest.MonkeyPatch) -> OpenIdProvider:
    provider_process.reset()
    monkeypatch.setenv("OIDC_DISCOVERY_URL", provider_process.discovery_url)
    monkeypatch.setenv("OIDC_CLIENT_ID", CLIENT_ID)
    monkeypatch.setenv("OIDC_CLIENT_SECRET", "a secret of the client")
    return provider_process


@pytest.fixture
async def app_url(provider: OpenIdProvider, settings: Settings) -> AsyncIterator[str]:
    async with serving(create_app(settings)) as url:
        yield url.replace("127.0.0.1", "localhost")


class Browser:
    """A browser that follows redirects and signs in at the provider."""

    def __init__(self, http: httpx2.AsyncClient) -> None:
        self.http = http

    async def begin(self, query: str = "") -> str:
        """Open the sign-in page. Returns the URL of the provider's page."""
        response = await self.http.get(f"/sign-in{query}")
        assert response.status_code == 303, response.text
        return response.headers["location"]

    async def consent(self, address: str, sub: str = "ada") -> str:
        """Sign in at the provider. Returns the URL to which it redirects the browser."""
        response = await self.http.post(address, data={"sub": sub})
        assert response.status_code == 302, response.text
        return response.headers["location"]

    async def sign_in(self, sub: str = "ada", query: str = "") -> httpx2.Response:
        return await self.http.get(await self.consent(await self.begin(query), sub))

    async def user(self) -> str | None:
        user: str | None = (await self.http.get("/config.json")).json()["user"]
        return user

    async def form_token(self) -> str:
        account = (await self.http.get("/config.json")).json()["account"]
        token: str = account["formToken"]
        return token

    async def sign_out(self, token: str) -> httpx2.Response:
        return await self.http.post("/sign-out", data={"form_token": token})


@asynccontextmanager
async def browsing(url: str) -> AsyncIterator[Browser]:
    async with httpx2.AsyncClient(base_url=url, timeout=30) as http:
        yield Browser(http)


@pytest.fixture
async def browser(app_url: str) -> AsyncIterator[Browser]:
    async with browsing(app_url) as browser:
        yield browser


async def assert_refused(browser: Browser, response: httpx2.Response) -> None:
    assert response.status_code == 400
    assert "You are not signed in" in response.text
    assert COOKIE not in browser.http.cookies
    assert await browser.user() is None


def challenge_of(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


class TestSigningIn:
    async def test_signing_in_at_the_provider_begins_a_session(self, browser: Browser) -> None:
        assert await browser.user() is None
        response = await browser.sign_in()
        assert response.status_code == 303
        assert response.headers["location"] == "/"
        assert await browser.user() is not None
        # The cookie of the attempt is deleted.
        assert [name for name in browser.http.cookies if "sign_in" in name] == []
        config = (await browser.http.get("/config.json")).json()
        assert config["account"]["name"] == "ada"
        body = {"type": "threads.list", "params": {}}
        assert (await browser.http.post("/chatkit", json=body)).status_code == 200

    async def test_each_subject_is_one_user(self, app_url: str) -> None:
        users = []
        for sub in ("ada", "eve", "ada"):
            async with browsing(app_url) as browser:
                await browser.sign_in(sub)
                users.append(await browser.user())
        assert users[0] == users[2] != users[1]

    async def test_sign_in_returns_to_the_requested_page(self, browser: Browser) -> None:
        response = await browser.sign_in(query="?next=%2F%3Fthread%3D1%23top")
        assert response.headers["location"] == "/?thread=1#top"

    @pytest.mark.parametrize(
        "wanted",
        ["https://evil.example/", "//evil.example", "/\\evil.example", "/%09/evil.example", "x"],
    )
    async def test_sign_in_does_not_redirect_to_other_sites(
        self, browser: Browser, wanted: str
    ) -> None:
        response = await browser.sign_in(query=f"?next={wanted}")
        assert response.headers["location"] in {"/", "/%09/evil.example"}

    async def test_a_tampered_cookie_does_not_redirect_to_other_sites(
        self, browser: Browser
    ) -> None:
        back = await browser.consent(await browser.begin())
        [name] = [name for name in browser.http.cookies if "sign_in" in name]
        secret = browser.http.cookies[name].partition(".")[0]
        wanted = base64.urlsafe_b64encode(b"//evil.example").decode().rstrip("=")
        browser.http.cookies.clear()
        response = await browser.http.get(back, headers={"Cookie": f"{name}={secret}.{wanted}"})
        assert response.status_code == 303
        assert response.headers["location"] == "/"

    async def test_the_request_is_bound_to_code_challenge_state_and_nonce(
        self, browser: Browser, provider: OpenIdProvider
    ) -> None:
        address = await browser.begin()
        asked = dict(parse_qsl(urlsplit(address).query))
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert set(asked["scope"].split()) >= {"openid"}
        await browser.http.get(await browser.consent(address))
        [sent] = provider.token_requests
        assert challenge_of(sent["code_verifier"]) == asked["code_challenge"]
        assert sent["redirect_uri"] == asked["redirect_uri"]
        again = dict(parse_qsl(urlsplit(await browser.begin()).query))
        for name in ("state", "nonce", "code_challenge"):
            assert again[name] != asked[name]

    async def test_an_attempt_is_bound_to_its_browser_and_expires(self, browser: Browser) -> None:
        cookie = (await browser.http.get("/sign-in")).headers["set-cookie"]
        assert f"; Max-Age={ATTEMPT_SECONDS};" in cookie
        assert "; HttpOnly;" in cookie
        assert "; SameSite=lax" in cookie

    async def test_two_tabs_can_sign_in_at_the_same_time(self, browser: Browser) -> None:
        addresses = [await browser.begin(f"?next=/{tab}") for tab in ("one", "two")]
        for tab, address in zip(("one", "two"), addresses, strict=True):
            response = await browser.http.get(await browser.consent(address))
            assert response.headers["location"] == f"/{tab}"

    async def test_a_sign_in_replaces_the_previous_session(self, browser: Browser) -> None:
        await browser.sign_in("ada")
        old = browser.http.cookies[COOKIE]
        await browser.sign_in("eve")
        assert browser.http.cookies[COOKIE] != old
        async with httpx2.AsyncClient(base_url=browser.http.base_url, timeout=30) as thief:
            page = await thief.get("/config.json", headers={"Cookie": f"{COOKIE}={old}"})
            assert page.json()["user"] is None


class TestRefused:
    async def test_a_callback_without_parameters(self, browser: Browser) -> None:
        await assert_refused(browser, await browser.http.get("/sign-in/callback"))

    async def test_a_code_without_this_browsers_attempt(
        self, app_url: str, provider: OpenIdProvider
    ) -> None:
        """Otherwise a link to the callback would sign a victim in as the attacker."""
        async with browsing(app_url) as eve, browsing(app_url) as ada:
            back = await eve.consent(await eve.begin(), "eve")
            await assert_refused(ada, await ada.http.get(back))
            await ada.begin()
            await assert_refused(ada, await ada.http.get(back))
            # A cookie of that name with another secret is refused too.
            [name] = [name for name in eve.http.cookies if "sign_in" in name]
            planted = {"Cookie": f"{name}={Attempt.new('/')}"}
            await assert_refused(ada, await ada.http.get(back, headers=planted))
        assert provider.token_requests == []

    async def test_a_wrong_state(self, browser: Browser, provider: OpenIdProvider) -> None:
        back = await browser.consent(await browser.begin())
        state = parse_qs(urlsplit(back).query)["state"][0]
        for wrong in ("", "x", state[:-1], "é"):
            await assert_refused(browser, await browser.http.get(back.replace(state, wrong)))
        assert provider.token_requests == []

    async def test_an_invalid_code(self, browser: Browser) -> None:
        back = await browser.consent(await browser.begin())
        code = parse_qs(urlsplit(back).query)["code"][0]
        await assert_refused(browser, await browser.http.get(back.replace(code, "made-up")))

    async def test_a_code_of_another_attempt(self, browser: Browser) -> None:
        one = await browser.consent(await browser.begin(), "eve")
        other = await browser.consent(await browser.begin(), "ada")
        code, others = (parse_qs(urlsplit(back).query)["code"][0] for back in (one, other))
        # This provider does not check the code challenge, so the nonce is what differs.
        await assert_refused(browser, await browser.http.get(one.replace(code, others)))

    async def test_the_callback_twice(self, browser: Browser) -> None:
        back = await browser.consent(await browser.begin())
        kept = dict(browser.http.cookies)
        assert (await browser.http.get(back)).status_code == 303
        browser.http.cookies.delete(COOKIE)
        await assert_refused(browser, await browser.http.get(back))
        # The code cannot be used twice, also with the cookie of its attempt.
        browser.http.cookies.update(kept)
        await assert_refused(browser, await browser.http.get(back))

    @pytest.mark.parametrize("error", ["access_denied", "login_required"])
    async def test_the_provider_reports_an_error(self, browser: Browser, error: str) -> None:
        address = await browser.begin()
        state = parse_qs(urlsplit(address).query)["state"][0]
        response = await browser.http.get(f"/sign-in/callback?error={error}&state={state}")
        await assert_refused(browser, response)

    async def test_a_response_of_another_issuer(self, browser: Browser) -> None:
        back = await browser.consent(await browser.begin())
        await assert_refused(browser, await browser.http.get(f"{back}&iss=https://evil.example"))

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": "another-client"},
            {"aud": ["another-client"]},
            {"aud": "another-client", "azp": CLIENT_ID},
            {"aud": [CLIENT_ID, "another-client"], "azp": "another-client"},
            {"aud": None},
            {"iss": "https://evil.example"},
            {"iss": None},
            {"nonce": "another"},
            {"nonce": None},
            {"exp": 1},
            {"exp": None},
            {"iat": 9_999_999_999},
            {"sub": None},
            {"sub": ""},
            {"sub": 1},
            {"at_hash": "another"},
        ],
        ids=str,
    )
    async def test_an_id_token_with_invalid_claims(
        self, browser: Browser, provider: OpenIdProvider, changes: Claims
    ) -> None:
        def bend(claims: Claims) -> Claims:
            return {name: value for name, value in (claims | changes).items() if value is not None}

        provider.bend = bend
        await assert_refused(browser, await browser.sign_in())

    async def test_an_id_token_signed_with_another_key(
        self, browser: Browser, provider: OpenIdProvider
    ) -> None:
        other = RSAKey.generate_key(2048)
        provider.sign = lambda claims: provider.signed(claims, other)
        await assert_refused(browser, await browser.sign_in())

    async def test_an_unsigned_or_tampered_id_token(
        self, browser: Browser, provider: OpenIdProvider
    ) -> None:
        provider.discovery = {"id_token_signing_alg_values_supported": ["none", "HS256", "RS256"]}

        def unsigned(claims: Claims) -> str:
            header = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
            return f"{header}.{provider.signed(claims).split('.')[1]}."

        def tampered(claims: Claims) -> str:
            header, _, signature = provider.signed(claims).split(".")
            return f"{header}.{provider.signed(claims | {'sub': 'eve'}).split('.')[1]}.{signature}"

        for sign in (unsigned, tampered):
            provider.sign = sign
            await assert_refused(browser, await browser.sign_in())

    async def test_an_id_token_signed_with_a_published_secret(
        self, browser: Browser, provider: OpenIdProvider
    ) -> None:
        provider.discovery = {"id_token_signing_alg_values_supported": ["HS256", "RS256"]}
        provider.secret = secret = OctKey.generate_key(256, {"kid": "k2"})
        provider.sign = lambda claims: jwt.encode({"alg": "HS256", "kid": "k2"}, claims, secret)
        await assert_refused(browser, await browser.sign_in())

    async def test_an_invalid_or_tampered_session_cookie(self, browser: Browser) -> None:
        await browser.sign_in()
        good = browser.http.cookies[COOKIE]
        for cookie in ("", "x", good[:-1], f"{good}x", good.swapcase()):
            async with httpx2.AsyncClient(base_url=browser.http.base_url, timeout=30) as thief:
                page = await thief.get("/config.json", headers={"Cookie": f"{COOKIE}={cookie}"})
                assert page.json()["user"] is None

    async def test_another_users_thread_is_not_found(
        self, visitor: Visitor, stranger: Visitor
    ) -> None:
        turn = await visitor.say("hello")
        response = await stranger.send("threads.get_by_id", thread_id=turn.thread_id)
        assert response.status_code == 404


class TestProviderUnreachable:
    async def test_sign_in_fails_and_existing_sessions_continue(
        self, app_url: str, provider: OpenIdProvider
    ) -> None:
        async with browsing(app_url) as inside, browsing(app_url) as outside:
            await inside.sign_in("ada")
            back = await outside.consent(await outside.begin(), "eve")
            provider.is_down = True
            response = await outside.http.get(back)
            assert response.status_code == 503
            assert "Sign-in is not available" in response.text
            assert response.headers["retry-after"]
            assert await outside.user() is None
            body = {"type": "threads.list", "params": {}}
            assert (await inside.http.post("/chatkit", json=body)).status_code == 200
            provider.is_down = False
            assert (await outside.sign_in("eve")).status_code == 303

    async def test_a_slow_provider_is_unreachable(
        self, provider: OpenIdProvider, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(openid, "PROVIDER_SECONDS", 0.3)
        async with serving(create_app(settings)) as url, browsing(url) as browser:
            provider.seconds = 3
            assert (await browser.http.get("/sign-in")).status_code == 503

    @pytest.mark.parametrize(
        "discovery", [{"issuer": None}, {"jwks_uri": None}, {"token_endpoint": None}], ids=str
    )
    async def test_an_invalid_discovery_document(
        self, browser: Browser, provider: OpenIdProvider, discovery: dict[str, None]
    ) -> None:
        provider.discovery = discovery
        assert (await browser.http.get("/sign-in")).status_code == 503
        provider.discovery = {}
        assert (await browser.sign_in()).status_code == 303

    async def test_the_provider_is_retried_after_an_outage(
        self, browser: Browser, provider: OpenIdProvider
    ) -> None:
        provider.is_down = True
        assert (await browser.http.get("/sign-in")).status_code == 503
        provider.is_down = False
        assert (await browser.sign_in()).status_code == 303


class TestSigningOut:
    async def test_the_session_ends_here_and_at_the_provider(
        self, browser: Browser, provider: OpenIdProvider, app_url: str
    ) -> None:
        await browser.sign_in()
        kept = browser.http.cookies[COOKIE]
        response = await browser.sign_out(await browser.form_token())
        # A page that redirects itself, because `form-action` blocks redirects to other sites.
        assert response.status_code == 200
        [on_to] = re.findall(r'http-equiv="refresh" content="0; url=([^"]+)"', response.text)
        assert "&amp;" in on_to  # escaped in the page
        address = urlsplit(unescape(on_to))
        assert on_to.startswith(f"{provider.url}/oauth2/end_session?")
        assert dict(parse_qsl(address.query)) == {
            "client_id": CLIENT_ID,
            "post_logout_redirect_uri": f"{app_url}/signed-out",
            "id_token_hint": provider.id_tokens[0],
        }
        page = await browser.http.get("/config.json", headers={"Cookie": f"{COOKIE}={kept}"})
        assert page.json()["user"] is None
        assert "You are signed out" in (await browser.http.get("/signed-out")).text

    async def test_the_id_token_is_deleted_with_its_session(
        self, browser: Browser, provider: OpenIdProvider, database: Database
    ) -> None:
        await browser.sign_in(sub := "leaver")
        owner = user_id({"iss": provider.url, "sub": sub})
        kept = select(IdTokenRow.token).where(IdTokenRow.user_id == owner)
        assert [row.token for row in await database.fetch(owner, kept)] == provider.id_tokens

        await browser.sign_in(sub)  # the next sign-in ends the first session
        rows = await database.fetch(owner, kept)
        assert [row.token for row in rows] == provider.id_tokens[1:]

        await browser.sign_out(await browser.form_token())
        assert await database.fetch(owner, kept) == []

    async def test_an_id_token_too_long_for_a_url_is_left_out(
        self, browser: Browser, provider: OpenIdProvider
    ) -> None:
        provider.bend = lambda claims: {**claims, "groups": "x" * MAX_HINT_CHARS}
        await browser.sign_in()
        response = await browser.sign_out(await browser.form_token())
        assert "client_id" in response.text
        assert "id_token_hint" not in response.text

    async def test_a_provider_without_sign_out_is_not_called(
        self, browser: Browser, provider: OpenIdProvider
    ) -> None:
        provider.discovery = {"end_session_endpoint": None}
        await browser.sign_in()
        response = await browser.sign_out(await browser.form_token())
        assert response.headers["location"] == "/signed-out"

    async def test_another_site_cannot_sign_a_user_out(self, browser: Browser) -> None:
        await browser.sign_in()
        token = await browser.form_token()
        assert (await browser.sign_out("x" * len(token))).status_code == 403
        foreign = await browser.http.post(
            "/sign-out", data={"form_token": token}, headers={"Origin": "https://evil.example"}
        )
        assert foreign.status_code == 403
        assert await browser.user() is not None


class TestSettings:
    async def test_without_a_provider_the_page_names_the_missing_settings(
        self, settings: Settings, visitor: Visitor
    ) -> None:
        response = await visitor.client.get("/sign-in")
        assert response.status_code == 503
        assert "OIDC_DISCOVERY_URL" in response.text
        assert "/sign-in/callback" in response.text
        assert (await visitor.client.get("/sign-in/callback?code=1&state=1")).status_code == 400

    async def test_the_page_is_in_the_browsers_language(
        self, visitor: Visitor, german: German
    ) -> None:
        german(
            {
                "Nobody can sign in yet": "Noch kann sich niemand anmelden",
                "Sign in": "Anmelden",
                "You are signed out": "Sie sind abgemeldet",
            }
        )
        asking = {"Accept-Language": "de"}
        response = await visitor.client.get("/sign-in", headers=asking)
        assert "Noch kann sich niemand anmelden" in response.text
        assert response.text.count("Anmelden") == 1
        signed_out = await visitor.client.get("/signed-out", headers=asking)
        assert '<html lang="de" dir="ltr"' in signed_out.text
        assert "Sie sind abgemeldet" in signed_out.text

    @pytest.mark.parametrize(
        "given", [{"client_id": CLIENT_ID}, {"discovery_url": "https://id.example/"}], ids=str
    )
    async def test_incomplete_settings_are_refused(
        self, database: Database, settings: Settings, given: dict[str, str]
    ) -> None:
        with pytest.raises(ValueError, match="both or neither"):
            OidcAuth(settings, database, OidcSettings(**given))  # type: ignore[arg-type]

    async def test_public_url_replaces_the_requests_url(
        self, settings: Settings, provider: OpenIdProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OIDC_PUBLIC_URL", "https://chat.example.com/")
        async with serving(create_app(settings)) as url, browsing(url) as browser:
            asked = dict(parse_qsl(urlsplit(await browser.begin()).query))
        assert asked["redirect_uri"] == "https://chat.example.com/sign-in/callback"

    async def test_a_public_client_has_no_secret(
        self, settings: Settings, provider: OpenIdProvider, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OIDC_CLIENT_SECRET", "")
        async with serving(create_app(settings)) as url, browsing(url) as browser:
            await browser.sign_in()
        # This provider has no public clients, so only the request to it is checked.
        [sent] = provider.token_requests
        assert sent["client_id"] == CLIENT_ID
        assert sent["code_verifier"]
        assert not sent["Authorization"]
        assert "client_secret" not in sent


BASIC, POST = "client_secret_basic", "client_secret_post"


class TestTokenEndpoint:
    """The client authentication at the token endpoint follows the discovery document."""

    @pytest.mark.parametrize(
        ("secret", "offered", "method"),
        [
            ("plain-secret", None, BASIC),
            ("plain-secret", [], BASIC),
            ("plain-secret", [POST, BASIC], BASIC),
            ("plain-secret", [POST], POST),
            ("plain-secret", ["private_key_jwt", POST], POST),
            ("a+b%2F c:é", [BASIC, POST], POST),
            ("a+b%2F c:é", [BASIC], BASIC),
        ],
    )
    async def test_the_secret_is_sent_with_a_supported_method(
        self,
        provider: OpenIdProvider,
        settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
        secret: str,
        offered: list[str] | None,
        method: str,
    ) -> None:
        monkeypatch.setenv("OIDC_CLIENT_SECRET", secret)
        provider.discovery = {"token_endpoint_auth_methods_supported": offered}
        async with serving(create_app(settings)) as url, browsing(url) as browser:
            await browser.sign_in()
        [sent] = provider.token_requests
        if method == POST:
            assert (sent["client_id"], sent["client_secret"]) == (CLIENT_ID, secret)
            assert not sent["Authorization"]
        else:
            scheme, _, pair = sent["Authorization"].partition(" ")
            assert scheme == "Basic"
            words = base64.b64decode(pair).decode("ascii").split(":")
            assert [unquote_plus(word) for word in words] == [CLIENT_ID, secret]
            assert "client_secret" not in sent

    async def test_a_public_client_needs_no_listed_method(
        self, provider: OpenIdProvider, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OIDC_CLIENT_SECRET", "")
        provider.discovery = {"token_endpoint_auth_methods_supported": [BASIC]}
        async with serving(create_app(settings)) as url, browsing(url) as browser:
            await browser.sign_in()
        [sent] = provider.token_requests
        assert not sent["Authorization"]

    async def test_an_unsupported_method_is_reported_at_start_and_by_the_doctor(
        self, provider: OpenIdProvider, settings: Settings, capsys: pytest.CaptureFixture[str]
    ) -> None:
        provider.discovery = {"token_endpoint_auth_methods_supported": ["private_key_jwt"]}
        said = "the token endpoint accepts 'private_key_jwt' and no client secret. Register"
        finding = await asyncio.to_thread(check)
        assert finding.state == "fail"
        assert said in finding.text
        async with serving(create_app(settings)) as url, browsing(url) as browser:
            heard = ""
            async with asyncio.timeout(60):
                while f"sign-in is not possible: {said}" not in heard:
                    await asyncio.sleep(0.01)  # it is logged in the background
                    heard += capsys.readouterr().err
            assert (await browser.http.get("/sign-in")).status_code == 503
            provider.discovery = {}
            assert (await browser.http.get("/sign-in")).status_code == 303


class TestDoctor:
    async def test_a_reachable_provider(self, provider: OpenIdProvider) -> None:
        text = f"{provider.url}, which knows us as {CLIENT_ID}"
        assert await asyncio.to_thread(check) == Finding("ok", text)

    async def test_an_unreachable_provider(self, provider: OpenIdProvider) -> None:
        provider.is_down = True
        finding = await asyncio.to_thread(check)
        assert finding.state == "fail"
        assert "no discovery document" in finding.text
        assert "502" in finding.text

    async def test_no_provider_is_set(self) -> None:
        finding = await asyncio.to_thread(check)
        assert finding.state == "warn"
        assert "OIDC_DISCOVERY_URL" in finding.text


def test_the_same_subject_at_two_providers_is_two_users() -> None:
    ids = {
        user_id({"iss": issuer, "sub": sub})
        for issuer, sub in (("https://a", "b"), ("https://ab", ""), ("https://c", "b"))
    }
    assert len(ids) == 3
    assert all(len(one) <= 255 for one in ids)


def test_state_nonce_and_verifier_do_not_reveal_each_other() -> None:
    attempt = Attempt.new("/")
    assert len({attempt.state, attempt.nonce, attempt.code_verifier, attempt.secret}) == 4
    assert 43 <= len(attempt.code_verifier) <= 128  # RFC 7636, section 4.1
