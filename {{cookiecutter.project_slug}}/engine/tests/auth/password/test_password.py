"""Signing up, in and out over HTTP with the forms of the pages, as a browser does."""

import asyncio
import re
import secrets
import statistics
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape

import httpx2
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from engine.auth.password.accounts import Hasher
from engine.auth.password.rows import AccountStore, user_id_of
from engine.auth.password.sign_in import PasswordAuth
from engine.auth.sessions.sessions import COOKIE
from engine.database.database import Database
from engine.database.users import ensure_user
from engine.operate import smoke_sign_in
from engine.operate.privacy.erase import erase
from engine.operate.smoke import smoke
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.fixtures import serving
from engine.tests.talk import German

pytestmark = pytest.mark.long

PASSWORD = "correct horse staples"  # noqa: S105
WRONG = "not this one either"
OTHER = "an entirely other one"


def new_name() -> str:
    return f"ada-{secrets.token_hex(6)}@example.com"


def new_address() -> str:
    """An address whose attempts no other test has used."""
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"


@dataclass
class Browser:
    """A browser with cookies. The server trusts its X-Forwarded-For header from loopback."""

    client: httpx2.AsyncClient
    address: str = field(default_factory=new_address)

    async def open(self, path: str) -> httpx2.Response:
        return await self.client.get(path)

    async def form_token(self, path: str) -> str:
        return form_token(await self.open(path))

    async def post(self, path: str, /, **fields: str) -> httpx2.Response:
        headers = {"X-Forwarded-For": self.address}
        return await self.client.post(path, data=fields, headers=headers)

    async def submit(self, path: str, /, **fields: str) -> httpx2.Response:
        """Open the page, fill in its form and send it."""
        return await self.post(path, form_token=await self.form_token(path), **fields)

    async def sign_up(self, name: str, password: str = PASSWORD) -> None:
        response = await self.submit("/sign-up", name=name, password=password)
        assert response.status_code == 303, problem(response)

    async def sign_in(self, name: str, password: str = PASSWORD) -> httpx2.Response:
        return await self.submit("/sign-in", name=name, password=password)

    async def sign_out(self) -> httpx2.Response:
        account = (await self.open("/config.json")).json()["account"]
        return await self.post(account["signOut"], form_token=account["formToken"])

    async def change(self, current: str, new: str) -> httpx2.Response:
        return await self.submit("/account", password=current, new_password=new)

    async def is_signed_in(self, cookie: str | None = None) -> bool:
        """True if this browser is signed in, or another one that has only that cookie."""
        async with httpx2.AsyncClient(base_url=self.client.base_url, timeout=60) as client:
            cookie = cookie or self.client.cookies.get(COOKIE, "")
            request = {"type": "threads.list", "params": {}}
            headers = {"Cookie": f"{COOKIE}={cookie}"}
            response = await client.post("/chatkit", json=request, headers=headers)
        assert response.status_code in {200, 401}
        return response.status_code == 200

    @property
    def cookie(self) -> str:
        return self.client.cookies[COOKIE]


def form_token(page: httpx2.Response) -> str:
    found = re.search(r'name="form_token" type="hidden" value="([0-9a-f]{64})"', page.text)
    assert found, page.text
    return found[1]


def attributes(page: httpx2.Response, field: str) -> str:
    found = re.search(rf'<input (id="{field}"[^>]*)>', page.text)
    assert found, page.text
    return found[1]


def problem(page: httpx2.Response) -> str:
    """The error message in the page."""
    found = re.search(r'role="alert">([^<]*)<', page.text)
    return unescape(found[1]) if found else ""


@asynccontextmanager
async def browsing(url: str) -> AsyncIterator[Browser]:
    async with httpx2.AsyncClient(base_url=url, timeout=60) as client:
        yield Browser(client)


HEAVY = PasswordHash.recommended
LIGHT = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=1024),))


@pytest.fixture(scope="module", autouse=True)
def _light_hashes() -> Iterator[None]:
    """Cheap hashes, because the real ones would take most of the time of these tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PasswordHash, "recommended", lambda: LIGHT)
        yield


@pytest.fixture(scope="module", autouse=True)
def _open_sign_up() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SIGN_UP", "open")
        yield


@pytest.fixture(scope="module")
async def base_url(
    settings: Settings, _light_hashes: None, _open_sign_up: None
) -> AsyncIterator[str]:
    async with serving(create_app(settings)) as url:
        yield url


@pytest.fixture
async def browser(base_url: str) -> AsyncIterator[Browser]:
    async with browsing(base_url) as browser:
        yield browser


@pytest.fixture
async def other(base_url: str) -> AsyncIterator[Browser]:
    async with browsing(base_url) as browser:
        yield browser


@pytest.fixture
def name() -> str:
    return new_name()


@asynccontextmanager
async def configured(settings: Settings, **environment: str) -> AsyncIterator[Browser]:
    """A browser in front of an application with these settings."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in environment.items():
            patch.setenv(key, value)
        app = create_app(settings)
    async with serving(app) as url, browsing(url) as browser:
        yield browser


class TestSignIn:
    async def test_without_a_session_the_page_redirects_to_sign_in(self, browser: Browser) -> None:
        config = (await browser.open("/config.json")).json()
        assert (config["user"], config["account"]) == (None, None)
        assert config["signIn"] == "sign-in"
        assert not await browser.is_signed_in()

    async def test_a_new_account_is_signed_in_and_named(self, browser: Browser, name: str) -> None:
        await browser.sign_up(name)
        assert await browser.is_signed_in()
        config = (await browser.open("/config.json")).json()
        assert config["account"]["name"] == name
        assert config["account"]["manage"] == "account"
        assert name not in config["user"]

    async def test_a_name_has_one_spelling(self, browser: Browser, name: str) -> None:
        await browser.sign_up(name.upper())
        await browser.sign_out()
        assert (await browser.sign_in(f" {name.title()} ")).status_code == 303
        assert (await browser.open("/config.json")).json()["account"]["name"] == name

    async def test_a_password_matches_in_every_unicode_form(
        self, browser: Browser, name: str
    ) -> None:
        await browser.sign_up(name, "cafe\u0301 cre\u0300me bru\u0302le\u0301e")
        await browser.sign_out()
        response = await browser.sign_in(name, "caf\u00e9 cr\u00e8me br\u00fbl\u00e9e")
        assert response.status_code == 303

    async def test_a_wrong_password_is_refused(self, browser: Browser, name: str) -> None:
        await browser.sign_up(name)
        await browser.sign_out()
        for wrong in ("", WRONG, PASSWORD.upper(), f"{PASSWORD} ", "x" * 5000):
            response = await browser.sign_in(name, wrong)
            assert response.status_code == 401
            assert not await browser.is_signed_in()
        assert (await browser.sign_in(name)).status_code == 303

    async def test_an_unknown_name_gets_the_same_response_as_a_wrong_password(
        self, browser: Browser, name: str
    ) -> None:
        await browser.sign_up(name)
        await browser.sign_out()
        answers = []
        for tried in (name, new_name(), "no name at all", ""):
            response = await browser.sign_in(tried, WRONG)
            text = response.text.replace(f'value="{tried}"', "").replace(" autofocus", "")
            answers.append((response.status_code, text, sorted(response.headers)))
        assert all(answer == answers[0] for answer in answers[:2])
        assert {status for status, _, _ in answers} == {401}

    async def test_an_unknown_name_takes_as_long_as_a_wrong_password(
        self, settings: Settings, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(PasswordHash, "recommended", HEAVY)
        async with configured(settings, SIGN_INS_PER_ACCOUNT="1000") as browser:
            await browser.sign_up(name)
            await browser.sign_out()
            token = await browser.form_token("/sign-in")
            known: list[float] = []
            unknown: list[float] = []
            for _ in range(9):
                for times, tried in ((known, name), (unknown, new_name())):
                    began = time.perf_counter()
                    await browser.post("/sign-in", name=tried, password=WRONG, form_token=token)
                    times.append(time.perf_counter() - began)
        # Without a dummy hash, an unknown name would take a few per cent of the time.
        assert 0.4 < statistics.median(unknown) / statistics.median(known) < 2.5

    async def test_each_sign_in_replaces_the_session(self, browser: Browser, name: str) -> None:
        await browser.sign_up(name)
        old = browser.cookie
        # The form is from before, because the page redirects signed-in users.
        token = (await browser.open("/config.json")).json()["account"]["formToken"]
        await browser.post("/sign-in", name=name, password=PASSWORD, form_token=token)
        assert browser.cookie != old
        assert await browser.is_signed_in()
        assert not await browser.is_signed_in(old)

    async def test_with_a_session_the_sign_in_page_redirects_to_the_chat(
        self, browser: Browser, name: str
    ) -> None:
        await browser.sign_up(name)
        response = await browser.open("/sign-in?next=/account")
        assert (response.status_code, response.headers["location"]) == (303, "/account")

    async def test_a_users_cookie_does_not_give_access_to_other_users_threads(
        self, browser: Browser, other: Browser, name: str
    ) -> None:
        await browser.sign_up(name)
        await other.sign_up(new_name())
        mine, theirs = browser.cookie.split("."), other.cookie.split(".")
        assert not await browser.is_signed_in(f"{theirs[0]}.{mine[1]}")
        assert await browser.is_signed_in(f"{mine[0]}.{mine[1]}")

    async def test_the_page_cannot_be_framed_or_cached_and_has_no_script(
        self, browser: Browser
    ) -> None:
        for path in ("/sign-in", "/sign-up"):
            response = await browser.open(path)
            assert response.headers["cache-control"] == "no-store"
            assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
            assert re.search(r"<script[^>]*>[^<]|<style| style=|\son\w+=", response.text) is None

    async def test_files_of_the_page_are_kept_for_good(self, browser: Browser) -> None:
        page = (await browser.open("/sign-in")).text
        names = re.findall(r'(?:href|src)="(/static/[^"]+\.(?:css|svg))"', page)

        assert len(names) >= 4
        for name in names:
            assert "immutable" in (await browser.open(name)).headers["cache-control"], name

    async def test_the_name_is_escaped_in_the_page(self, browser: Browser) -> None:
        typed = '"><script>alert(1)</script>'
        response = await browser.sign_in(typed, WRONG)
        assert "<script>alert" not in response.text
        assert "&gt;&lt;script&gt;" in response.text

    async def test_the_page_never_contains_the_password(self, browser: Browser, name: str) -> None:
        assert WRONG not in (await browser.sign_in(name, WRONG)).text


class TestRefusal:
    """Screen readers say a refusal with the page's title and with the field that has the focus."""

    async def test_a_page_that_refuses_nothing_says_nothing(self, browser: Browser) -> None:
        for path in ("/sign-in", "/sign-up"):
            page = await browser.open(path)
            assert "aria-invalid" not in page.text
            assert "refusal" not in page.text
            assert page.text.count("<title>Sign in · ") + page.text.count("<title>Create an ") == 1

    async def test_a_wrong_password_is_said_at_both_fields(self, browser: Browser) -> None:
        page = await browser.sign_in("nobody", WRONG)
        assert "<title>The name or the password is wrong. · Sign in · " in page.text
        invalid = 'aria-invalid="true" aria-describedby="refusal"'
        assert invalid in attributes(page, "name")
        assert f"{invalid} autofocus" in attributes(page, "password")

    async def test_each_field_of_a_new_account_has_its_own_refusal(
        self, browser: Browser, name: str
    ) -> None:
        await browser.sign_up(name)
        await browser.sign_out()
        for refused, password in ((name, PASSWORD), ("no name", PASSWORD)):
            page = await browser.submit("/sign-up", name=refused, password=password)
            invalid = 'aria-invalid="true" aria-describedby="refusal" autofocus'
            assert invalid in attributes(page, "name")
            assert attributes(page, "password").endswith('required aria-describedby="rule"')
        for weak in ("12345678", "short"):
            page = await browser.submit("/sign-up", name=new_name(), password=weak)
            invalid = 'aria-invalid="true" aria-describedby="refusal rule" autofocus'
            assert invalid in attributes(page, "password")
            assert "aria-invalid" not in attributes(page, "name")

    async def test_a_change_of_the_password_says_which_one_is_refused(
        self, browser: Browser, name: str
    ) -> None:
        await browser.sign_up(name)
        page = await browser.change(WRONG, OTHER)
        assert 'aria-invalid="true"' in attributes(page, "password")
        assert 'aria-invalid="true"' not in attributes(page, "new-password")
        page = await browser.change(PASSWORD, "12345678")
        assert 'aria-invalid="true"' not in attributes(page, "password")
        invalid = 'aria-invalid="true" aria-describedby="refusal rule" autofocus'
        assert invalid in attributes(page, "new-password")

    async def test_a_refusal_that_no_field_can_mend_marks_none(self, browser: Browser) -> None:
        form = {"name": "ada", "password": PASSWORD, "form_token": "x"}
        page = await browser.post("/sign-in", **form)
        assert problem(page).startswith("Your browser sent no cookie with this form.")
        assert "aria-invalid" not in page.text
        assert 'aria-describedby="refusal" autofocus' in attributes(page, "password")
        page = await browser.post("/sign-in", **form)
        assert problem(page).startswith("This form was open for too long")


class TestLanguage:
    async def test_pages_and_refusals_are_in_the_browsers(
        self, browser: Browser, german: German
    ) -> None:
        rule = "A few words in a row are good ones."
        german(
            {
                "Sign in": "Anmelden",
                (
                    "At least {count} character. " + rule,
                    "At least {count} characters. " + rule,
                ): (
                    "Mindestens {count} Zeichen.",
                    "Mindestens {count} Zeichen.",
                ),
                "The name or the password is wrong.": "Der Name oder das Passwort ist falsch.",
            }
        )
        browser.client.headers["Accept-Language"] = "de-AT,de;q=0.9,en;q=0.5"
        sign_in = await browser.open("/sign-in")
        assert '<html lang="de" dir="ltr"' in sign_in.text
        assert "<h2>Anmelden</h2>" in sign_in.text
        assert "Mindestens 8 Zeichen." in (await browser.open("/sign-up")).text
        refused = await browser.sign_in("nobody", WRONG)
        assert problem(refused) == "Der Name oder das Passwort ist falsch."

    async def test_an_unknown_language_falls_back_to_english(self, browser: Browser) -> None:
        browser.client.headers["Accept-Language"] = "pt-BR"
        response = await browser.open("/sign-in")
        assert '<html lang="en"' in response.text
        assert "<h2>Sign in</h2>" in response.text


class TestReturn:
    async def test_the_return_path_is_kept_after_a_failed_attempt(
        self, browser: Browser, name: str
    ) -> None:
        await browser.sign_up(name)
        await browser.sign_out()
        page = await browser.open("/sign-in?next=/%3Fa=1%26b=2")
        assert 'name="next" type="hidden" value="/?a=1&amp;b=2"' in page.text
        fields = {"name": name, "form_token": form_token(page), "next": "/?a=1&b=2"}
        failed = await browser.post("/sign-in", password=WRONG, **fields)
        assert 'name="next" type="hidden" value="/?a=1&amp;b=2"' in failed.text
        response = await browser.post("/sign-in", password=PASSWORD, **fields)
        assert (response.status_code, response.headers["location"]) == (303, "/?a=1&b=2")

    @pytest.mark.parametrize("path", ["/sign-in", "/sign-up"])
    @pytest.mark.parametrize(
        "elsewhere",
        ["https://evil.example", "//evil.example", "/\\evil.example", "/\t/evil.example"],
    )
    async def test_other_sites_are_not_redirected_to(
        self, browser: Browser, name: str, path: str, elsewhere: str
    ) -> None:
        page = await browser.client.get(path, params={"next": elsewhere})
        assert "evil" not in page.text
        if path == "/sign-in":
            await browser.sign_up(name)
            signed_in = await browser.client.get(path, params={"next": elsewhere})
            assert signed_in.headers["location"] == "/"
            await browser.sign_out()
        response = await browser.submit(path, name=name, password=PASSWORD, next=elsewhere)
        assert (response.status_code, response.headers["location"]) == (303, "/")


class TestSignOut:
    async def test_the_old_cookie_is_refused_after_signing_out(
        self, browser: Browser, name: str
    ) -> None:
        await browser.sign_up(name)
        old = browser.cookie
        assert (await browser.sign_out()).headers["location"] == "/sign-in"
        assert COOKIE not in browser.client.cookies
        assert not await browser.is_signed_in(old)

    async def test_other_browsers_stay_signed_in(
        self, browser: Browser, other: Browser, name: str
    ) -> None:
        await browser.sign_up(name)
        await other.sign_in(name)
        await browser.sign_out()
        assert await other.is_signed_in()

    async def test_get_requests_do_not_sign_out(self, browser: Browser, name: str) -> None:
        await browser.sign_up(name)
        assert (await browser.open("/sign-out")).status_code == 405
        assert await browser.is_signed_in()


class TestForgedForms:
    FORMS = ("/sign-in", "/sign-up", "/sign-out", "/account")

    @pytest.mark.parametrize("path", FORMS)
    async def test_a_form_without_its_token_is_refused(
        self, browser: Browser, other: Browser, name: str, path: str
    ) -> None:
        await browser.sign_up(name)
        before = browser.cookie
        fields = {"name": name, "password": PASSWORD, "new_password": OTHER}
        strangers = await other.form_token("/sign-in")
        for token in ({}, {"form_token": strangers}, {"form_token": "0" * 64}):
            response = await browser.post(path, **fields, **token)
            assert response.status_code == 403
            assert "try again" in problem(response)
        assert browser.cookie == before
        assert await browser.is_signed_in()

    async def test_another_site_cannot_sign_a_browser_in(
        self, browser: Browser, other: Browser, name: str
    ) -> None:
        """The token is checked without a session too."""
        await other.sign_up(name)
        await other.sign_out()
        token = await other.form_token("/sign-in")
        await browser.open("/sign-in")
        response = await browser.post("/sign-in", name=name, password=PASSWORD, form_token=token)
        assert response.status_code == 403
        assert not await browser.is_signed_in()

    @pytest.mark.parametrize("path", FORMS)
    async def test_another_sites_form_is_refused_even_with_a_valid_token(
        self, browser: Browser, name: str, path: str
    ) -> None:
        await browser.sign_up(name)
        token = (await browser.open("/config.json")).json()["account"]["formToken"]
        response = await browser.client.post(
            path, data={"form_token": token}, headers={"Origin": "https://evil.example"}
        )
        assert response.status_code == 403
        assert await browser.is_signed_in()


async def test_the_log_has_events_and_no_names_or_passwords(
    browser: Browser, name: str, audit: list[str]
) -> None:
    await browser.sign_up(name)
    await browser.change(PASSWORD, OTHER)
    await browser.sign_out()
    await browser.sign_in(name, WRONG)
    await browser.sign_in(f"{PASSWORD}-in-the-wrong-field", WRONG)
    await browser.sign_in(name, OTHER)
    await browser.change(WRONG, OTHER)

    me, address = user_id_of(name), re.findall(r"address=(\w{32}) ", audit[0])[0]
    assert audit == [
        f"{event} user={user!r} address={address} reason={reason}"
        for event, user, reason in (
            ("signed up", me, "-"),
            ("password changed", me, "-"),
            ("signed out", me, "-"),
            ("signing in refused", me, "wrong_credentials"),
            ("signing in refused", "-", "wrong_credentials"),
            ("signed in", me, "-"),
            ("changing the password refused", me, "wrong_credentials"),
        )
    ]


class TestLimits:
    async def test_attempts_per_account_are_limited(
        self, settings: Settings, name: str, audit: list[str]
    ) -> None:
        limits = {"SIGN_INS_PER_ACCOUNT": "3"}
        async with configured(settings, **limits) as one, configured(settings, **limits) as two:
            await one.sign_up(name)
            await one.sign_out()
            # Across two workers and from two addresses.
            for browser in (one, two, one):
                assert (await browser.sign_in(name, WRONG)).status_code == 401
            for browser in (one, two):
                refused = await browser.sign_in(name)
                assert refused.status_code == 429
                assert 0 < int(refused.headers["retry-after"]) <= 300
                assert "wait" in problem(refused)
                assert not await browser.is_signed_in()
            assert (await one.sign_in(new_name(), WRONG)).status_code == 401
            locked = [line for line in audit if line.endswith("reason=too_many_sign_ins")]
            assert len(locked) == 2

    async def test_attempts_for_an_unknown_name_are_limited_too(
        self, settings: Settings, name: str
    ) -> None:
        async with configured(settings, SIGN_INS_PER_ACCOUNT="2") as browser:
            statuses = [(await browser.sign_in(name, WRONG)).status_code for _ in range(3)]
        assert statuses == [401, 401, 429]

    async def test_attempts_per_address_are_limited(self, settings: Settings) -> None:
        async with configured(settings, SIGN_INS_PER_ADDRESS="3") as browser:
            statuses = [(await browser.sign_in(new_name(), WRONG)).status_code for _ in range(4)]
            assert statuses == [401, 401, 401, 429]
            # An IPv6 network of 64 bits counts as one address.
            browser.address = browser.address.replace("::1", ":a:b:c:d")
            assert (await browser.sign_in(new_name(), WRONG)).status_code == 429
            browser.address = new_address()
            assert (await browser.sign_in(new_name(), WRONG)).status_code == 401

    async def test_sign_ups_per_address_are_limited(self, settings: Settings) -> None:
        async with configured(settings, SIGN_INS_PER_ADDRESS="2") as browser:
            for _ in range(2):
                await browser.sign_up(new_name())
                await browser.sign_out()
            response = await browser.submit("/sign-up", name=new_name(), password=PASSWORD)
        assert response.status_code == 429

    async def test_successful_attempts_do_not_count(self, settings: Settings, name: str) -> None:
        limits = {"SIGN_INS_PER_ACCOUNT": "2", "SIGN_INS_PER_ADDRESS": "3"}
        async with configured(settings, **limits) as browser:
            await browser.sign_up(name)
            for _ in range(4):
                await browser.sign_out()
                assert (await browser.sign_in(name)).status_code == 303

    async def test_parallel_attempts_are_all_counted(self, settings: Settings, name: str) -> None:
        async with configured(settings, SIGN_INS_PER_ACCOUNT="3") as browser:
            token = await browser.form_token("/sign-in")
            fields = {"name": name, "password": WRONG, "form_token": token}
            answers = await asyncio.gather(*(browser.post("/sign-in", **fields) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [401] * 3 + [429] * 5

    async def test_attempts_to_change_the_password_are_limited(
        self, settings: Settings, name: str
    ) -> None:
        async with configured(settings, SIGN_INS_PER_ACCOUNT="2") as browser:
            await browser.sign_up(name)
            statuses = [(await browser.change(WRONG, OTHER)).status_code for _ in range(3)]
        assert statuses == [401, 401, 429]


class TestSignUp:
    async def test_a_name_can_be_used_once(
        self, browser: Browser, other: Browser, name: str
    ) -> None:
        await browser.sign_up(name)
        response = await other.submit("/sign-up", name=name.upper(), password=OTHER)
        assert (response.status_code, problem(response)) == (409, "This name is taken.")
        assert not await other.is_signed_in()
        assert (await other.sign_in(name, OTHER)).status_code == 401

    async def test_a_new_account_gets_no_rows_of_a_deleted_user(
        self, browser: Browser, database: Database, name: str
    ) -> None:
        user_id = user_id_of(name)
        await database.write(user_id, ensure_user(user_id))
        response = await browser.submit("/sign-up", name=name, password=PASSWORD)
        assert response.status_code == 409

    @pytest.mark.parametrize("unusable", ["", "ab", "two words", "a" * 255, "...", "a\0b", "a/b"])
    async def test_invalid_names_are_refused(self, browser: Browser, unusable: str) -> None:
        response = await browser.submit("/sign-up", name=unusable, password=PASSWORD)
        assert response.status_code == 422
        assert problem(response).startswith("A name has 3 to 254")

    @pytest.mark.parametrize(
        "weak",
        [
            *("", "short 1", "x" * 257, "aaaabbbb"),
            # From lists of common passwords, also with usual additions.
            *(
                "password",
                "Password1",
                "iloveyou2",
                "Butterfly",
                "P@ssw0rd",
                "dragon12",
                "summer2025",
            ),
            # Words and patterns.
            *("refrigerator", "qwertyuiop", "abcdefgh", "31/12/1999", "zxcvbnm,./"),
        ],
    )
    async def test_short_and_common_passwords_are_refused(
        self, browser: Browser, name: str, weak: str
    ) -> None:
        response = await browser.submit("/sign-up", name=name, password=weak)
        assert response.status_code == 422
        assert "password" in problem(response)
        assert (await browser.sign_in(name, weak)).status_code == 401

    async def test_the_account_name_is_refused_as_password(
        self, browser: Browser, name: str
    ) -> None:
        local = name.partition("@")[0]
        for weak in (name, name.upper(), local, f"{local}1", f"{local}{local}"):
            response = await browser.submit("/sign-up", name=name, password=weak)
            assert response.status_code == 422

    async def test_the_site_name_is_refused_as_password(self, browser: Browser, name: str) -> None:
        for weak in ("zephyrolith", "ZephyrolithQuandary", "Quandary2026", "zephyrolith quandary"):
            response = await browser.submit("/sign-up", name=name, password=weak)
            assert response.status_code == 422, weak

    async def test_other_passwords_are_accepted(self, browser: Browser) -> None:
        for good in ("only lower case", "73916408", "🦆🐢🦊🐙 frog", "a b c d e " * 25 + "f"):
            await browser.sign_up(name := new_name(), good)
            await browser.sign_out()
            assert (await browser.sign_in(name, good)).status_code == 303
            await browser.sign_out()

    async def test_sign_up_is_closed_by_default(
        self, settings: Settings, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("SIGN_UP")
        async with configured(settings) as browser:
            assert "/sign-up" not in (await browser.open("/sign-in")).text
            assert (await browser.open("/sign-up")).status_code == 403
            token = await browser.form_token("/sign-in")
            fields = {"name": name, "password": PASSWORD, "form_token": token}
            assert (await browser.post("/sign-up", **fields)).status_code == 403
            assert (await browser.sign_in(name)).status_code == 401

    @pytest.mark.parametrize(
        ("sign_up", "said"),
        [(None, "sign-up is closed. To create the first account: "), ("open", "EVERYBODY who can")],
    )
    def test_it_says_whom_it_lets_in(
        self,
        settings: Settings,
        database: Database,
        monkeypatch: pytest.MonkeyPatch,
        sign_up: str | None,
        said: str,
    ) -> None:
        monkeypatch.delenv("SIGN_UP")
        if sign_up:
            monkeypatch.setenv("SIGN_UP", sign_up)
        assert said in PasswordAuth(settings, database).lets_in


class TestPasswordChange:
    async def test_changing_the_password_signs_all_other_browsers_out(
        self, browser: Browser, other: Browser, name: str
    ) -> None:
        await browser.sign_up(name)
        await other.sign_in(name)
        old = browser.cookie
        response = await browser.change(PASSWORD, OTHER)
        assert (response.status_code, response.headers["location"]) == (303, "/account?changed")
        assert "is changed" in (await browser.open("/account?changed")).text
        assert await browser.is_signed_in()
        assert not await browser.is_signed_in(old)
        assert not await other.is_signed_in()
        assert (await other.sign_in(name, PASSWORD)).status_code == 401
        assert (await other.sign_in(name, OTHER)).status_code == 303

    async def test_the_current_password_is_required(self, browser: Browser, name: str) -> None:
        await browser.sign_up(name)
        response = await browser.change(WRONG, OTHER)
        assert (response.status_code, problem(response)) == (401, "The current password is wrong.")
        await browser.sign_out()
        assert (await browser.sign_in(name)).status_code == 303

    async def test_a_weak_new_password_is_refused(self, browser: Browser, name: str) -> None:
        await browser.sign_up(name)
        for weak in ("", "short 1", "password1", name):
            assert (await browser.change(PASSWORD, weak)).status_code == 422
        assert await browser.is_signed_in()

    async def test_the_account_page_requires_a_session(self, browser: Browser) -> None:
        response = await browser.open("/account")
        assert response.headers["location"] == "/sign-in?next=%2Faccount"
        token = await browser.form_token("/sign-in")
        fields = {"password": PASSWORD, "new_password": OTHER, "form_token": token}
        assert (await browser.post("/account", **fields)).status_code == 401


class TestDisabled:
    async def test_a_disabled_account_is_signed_out_and_cannot_sign_in(
        self, browser: Browser, database: Database, name: str
    ) -> None:
        await browser.sign_up(name)
        accounts = AccountStore(database)
        assert await accounts.disable(user_id_of(name))
        assert not await browser.is_signed_in()
        # The message requires the correct password.
        assert (await browser.sign_in(name, WRONG)).status_code == 401
        refused = await browser.sign_in(name)
        assert refused.status_code == 403
        assert "disabled" in problem(refused)
        assert not await browser.is_signed_in()
        assert await accounts.enable(user_id_of(name))
        assert (await browser.sign_in(name)).status_code == 303

    async def test_a_deleted_account_is_deleted_with_all_rows(
        self, browser: Browser, database: Database, name: str
    ) -> None:
        await browser.sign_up(name)
        assert await AccountStore(database).delete(user_id_of(name))
        assert not await browser.is_signed_in()
        assert (await browser.sign_in(name)).status_code == 401
        # The name can be used again, and the new account has no old rows.
        await browser.sign_up(name)
        assert await browser.is_signed_in()


class TestSmoke:
    """`python3 -m app smoke --url` while sign-up is closed."""

    @pytest.fixture
    async def closed(self, settings: Settings) -> AsyncIterator[str]:
        async with configured(settings, SIGN_UP="closed") as browser:
            yield str(browser.client.base_url)

    @staticmethod
    async def smoke(url: str, *users: str) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SMOKE_USERS", ",".join(users))
            return await asyncio.to_thread(smoke, url, [], [smoke_sign_in])

    async def test_the_smoke_test_signs_in_two_accounts(
        self, closed: str, database: Database, capsys: pytest.CaptureFixture[str]
    ) -> None:
        names = [new_name(), new_name()]
        for one in names:
            await AccountStore(database).add(one, await Hasher().hash(PASSWORD))
        assert await self.smoke(closed, *(f"{one}:{PASSWORD}" for one in names)) == 0
        assert "ok    a second user gets 404 and an empty list" in capsys.readouterr().out

    async def test_the_smoke_test_reports_missing_and_wrong_credentials(
        self, closed: str, capsys: pytest.CaptureFixture[str], name: str
    ) -> None:
        assert await self.smoke(closed) == 1
        assert "SMOKE_USERS=NAME:PASSWORD,NAME:PASSWORD" in capsys.readouterr().out
        assert await self.smoke(closed, f"{name}:{PASSWORD}", f"{name}:{PASSWORD}") == 1
        assert f"FAILED: {name} cannot sign in: 401" in capsys.readouterr().out


class TestOwnData:
    async def test_the_password_is_asked_before_an_erasure(
        self, browser: Browser, database: Database, name: str
    ) -> None:
        await browser.sign_up(name)
        assert "/your-data" in (await browser.open("/account")).text
        token = await browser.form_token("/your-data")
        sure = {"form_token": token, "sure": "on"}

        wrong = await browser.post("/your-data/erase", **sure, password=WRONG)
        assert (wrong.status_code, problem(wrong)) == (401, "The current password is wrong.")
        assert await browser.is_signed_in()

        done = await browser.post("/your-data/erase", **sure, password=PASSWORD)
        assert done.status_code == 200
        assert "Your data are erased." in done.text
        assert COOKIE not in browser.client.cookies
        assert await AccountStore(database).find(user_id_of(name)) is None

    async def test_the_name_of_an_erased_account_is_taken(
        self, browser: Browser, database: Database, name: str
    ) -> None:
        await browser.sign_up(name)
        await erase(database, user_id_of(name))
        again = await browser.submit("/sign-up", name=name, password=PASSWORD)
        assert (again.status_code, problem(again)) == (409, "This name is taken.")

    async def test_an_operator_names_the_account(
        self, settings: Settings, database: Database, name: str
    ) -> None:
        style = PasswordAuth(settings, database)
        assert style.user_id_of(name.upper()) == user_id_of(name)
        assert style.user_id_of(user_id_of(name)) == user_id_of(name)
