from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import pytest
import uvicorn
from pydantic import ValidationError

from engine.auth.proxy.sign_in import ProxyAuth, ProxySettings
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.auth.tokens.identity_provider import IdentityProvider, ec_key, running_provider
from engine.tests.fixtures import serving
from engine.tests.talk import Visitor

LOOPBACK = "127.0.0.1, ::1"
ELSEWHERE = "10.20.30.40"
ISSUER = "https://team.example.com"
AUDIENCE = "audience-tag"

# With proxy headers, uvicorn replaces the peer's address by that of X-Forwarded-For.
WITH_PROXY_HEADERS = {"proxy_headers": True, "forwarded_allow_ips": "*"}
WITHOUT_PROXY_HEADERS = {"proxy_headers": False}


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> "Serve":
    return Serve(monkeypatch, settings)


class Serve:
    """`async with proxy(PROXY_…=…) as client` serves the application and connects to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
        self._monkeypatch = monkeypatch
        self._settings = settings

    def __call__(
        self, server: dict[str, Any] = WITHOUT_PROXY_HEADERS, **environment: str
    ) -> "Client":
        for name, value in environment.items():
            self._monkeypatch.setenv(name, value)
        return Client(self._settings, server)


class Client:
    def __init__(self, settings: Settings, server: dict[str, Any]) -> None:
        self._serving = serving(create_app(settings), **server)

    async def __aenter__(self) -> "Client":
        self._http = httpx2.AsyncClient(base_url=await self._serving.__aenter__(), timeout=30)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        await self._serving.__aexit__(None, None, None)

    async def ask(self, headers: dict[str, str] | list[tuple[str, str]]) -> httpx2.Response:
        body = {"type": "threads.list", "params": {}}
        return await self._http.post("/chatkit", json=body, headers=headers)

    async def page(self, headers: dict[str, str]) -> httpx2.Response:
        return await self._http.get("/config.json", headers=headers)


def code(response: httpx2.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


UNTRUSTED = (403, "untrusted_proxy")
NOBODY = (401, "unauthenticated")


class TestHeader:
    async def test_the_user_in_the_header_is_signed_in(self, proxy: Serve) -> None:
        async with proxy(PROXY_TRUSTED_ADDRESSES=LOOPBACK) as client:
            assert (await client.ask({"X-Forwarded-User": "ada"})).status_code == 200
            keys = {
                (await client.page({"X-Forwarded-User": user})).json()["user"]
                for user in ("ada", "eve", "ada")
            }
        assert len(keys) == 2
        assert None not in keys

    async def test_a_missing_or_empty_header_is_refused(self, proxy: Serve) -> None:
        async with proxy(PROXY_TRUSTED_ADDRESSES=LOOPBACK) as client:
            assert code(await client.ask({})) == NOBODY
            assert code(await client.ask({"X-Forwarded-User": ""})) == NOBODY
            assert code(await client.ask({"X-Forwarded-Email": "ada"})) == NOBODY
            assert (await client.page({})).json()["user"] is None

    async def test_the_header_from_an_untrusted_address_is_refused(
        self, proxy: Serve, capfd: pytest.CaptureFixture[str]
    ) -> None:
        async with proxy(PROXY_TRUSTED_ADDRESSES=ELSEWHERE) as client:
            assert code(await client.ask({"X-Forwarded-User": "ada"})) == UNTRUSTED
            assert code(await client.page({"x-forwarded-user": "ada"})) == UNTRUSTED
            assert code(await client.ask({"X-Forwarded-User": ""})) == UNTRUSTED
            assert code(await client.ask({})) == NOBODY
        log = capfd.readouterr().err
        assert "X-Forwarded-User came from 127.0.0.1, which PROXY_TRUSTED_ADDRESSES" in log
        assert "ada" not in log

    @pytest.mark.parametrize(
        "forwarded",
        [
            ELSEWHERE,
            f"{ELSEWHERE}:4711",
            f"{ELSEWHERE}:4_711",
            f"{ELSEWHERE}:+4711",
            f"{ELSEWHERE}: 4711 , 203.0.113.9",
            f"203.0.113.9,  {ELSEWHERE}:4711",
            f"[{ELSEWHERE}]:4711",
            f"[{ELSEWHERE}]x",
            "[::ffff:10.20.30.40]:4711",
            "::ffff:10.20.30.40",
        ],
    )
    async def test_an_address_from_x_forwarded_for_is_not_trusted(
        self, proxy: Serve, forwarded: str
    ) -> None:
        async with proxy(WITH_PROXY_HEADERS, PROXY_TRUSTED_ADDRESSES=ELSEWHERE) as client:
            headers = {"X-Forwarded-User": "ada", "X-Forwarded-For": forwarded}
            assert code(await client.ask(headers)) == UNTRUSTED

    @pytest.mark.parametrize("forwarded", ["203.0.113.9", "127.0.0.1", "203.0.113.9:80, ::1"])
    async def test_the_proxy_may_send_x_forwarded_for(self, proxy: Serve, forwarded: str) -> None:
        async with proxy(PROXY_TRUSTED_ADDRESSES=LOOPBACK) as client:
            headers = {"X-Forwarded-User": "ada", "X-Forwarded-For": forwarded}
            assert (await client.ask(headers)).status_code == 200

    async def test_a_repeated_header_is_refused(self, proxy: Serve) -> None:
        async with proxy(PROXY_TRUSTED_ADDRESSES=LOOPBACK) as client:
            twice = [("X-Forwarded-User", "root"), ("X-Forwarded-User", "ada")]
            assert code(await client.ask(twice)) == (403, "forbidden")

    @pytest.mark.parametrize("user", ["x" * 256, "two\x85lines"])
    async def test_an_unusable_name_is_refused(self, proxy: Serve, user: str) -> None:
        async with proxy(PROXY_TRUSTED_ADDRESSES=LOOPBACK) as client:
            headers = {"X-Forwarded-User": user.encode("latin-1")}
            response = await client.ask(headers)  # type: ignore[arg-type]
            assert code(response) == NOBODY
            assert "X-Forwarded-User names no usable user." in response.text

    async def test_another_header_may_name_the_user(self, proxy: Serve) -> None:
        header = "X-Amzn-Oidc-Identity"
        async with proxy(PROXY_TRUSTED_ADDRESSES=LOOPBACK, PROXY_HEADER=header) as client:
            assert (await client.ask({header: "ada"})).status_code == 200
            assert code(await client.ask({"X-Forwarded-User": "ada"})) == NOBODY

    @pytest.mark.parametrize("network", ["127.0.0.0/8", "10.0.0.0/8,127.0.0.1/32", " 127.0.0.1 ,"])
    async def test_networks_can_be_trusted(self, proxy: Serve, network: str) -> None:
        async with proxy(PROXY_TRUSTED_ADDRESSES=network) as client:
            assert (await client.ask({"X-Forwarded-User": "ada"})).status_code == 200

    async def test_another_users_thread_is_not_found(
        self, visitor: Visitor, stranger: Visitor
    ) -> None:
        turn = await visitor.say("hello")
        response = await stranger.send("threads.get_by_id", thread_id=turn.thread_id)
        assert response.status_code == 404


class TestPeer:
    """Peer addresses from which tests cannot connect."""

    @pytest.mark.parametrize(
        ("peer", "status"),
        [
            (("10.1.2.3", 50_000), 200),
            (("::ffff:10.1.2.3", 50_000), 200),
            (("fd00::7", 50_000), 200),
            (("11.1.2.3", 50_000), 403),
            (("fe80::7", 50_000), 403),
            (("10.1.2.3", 0), 403),
            (("", 50_000), 403),
            (("testclient", 50_000), 403),
            (None, 403),
        ],
    )
    async def test_only_trusted_networks_are_accepted(
        self,
        monkeypatch: pytest.MonkeyPatch,
        settings: Settings,
        peer: tuple[str, int] | None,
        status: int,
    ) -> None:
        monkeypatch.setenv("PROXY_TRUSTED_ADDRESSES", "10.0.0.0/8, fd00::/8")
        transport = httpx2.ASGITransport(create_app(settings), client=peer)  # type: ignore[arg-type]
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
            response = await client.get("/config.json", headers={"X-Forwarded-User": "ada"})
        assert response.status_code == status


class TestAssertion:
    @pytest.fixture
    def provider(self) -> Iterator[IdentityProvider]:
        with running_provider() as provider:
            yield provider

    @pytest.fixture
    async def client(self, proxy: Serve, provider: IdentityProvider) -> AsyncIterator[Client]:
        self.key = ec_key("k1")
        provider.publish(self.key.public_jwk())
        async with proxy(
            PROXY_TRUSTED_ADDRESSES=LOOPBACK,
            PROXY_HEADER="Cf-Access-Jwt-Assertion",
            PROXY_JWKS_URL=provider.url,
            PROXY_ISSUER=ISSUER,
            PROXY_AUDIENCE=AUDIENCE,
        ) as client:
            yield client

    async def ask(self, client: Client, assertion: str, **others: str) -> httpx2.Response:
        return await client.ask({"Cf-Access-Jwt-Assertion": assertion, **others})

    def sign(self, **changes: object) -> str:
        return self.key.sign(**{"iss": ISSUER, "aud": AUDIENCE, **changes})

    async def test_the_user_of_a_signed_token_is_signed_in(self, client: Client) -> None:
        assert (await self.ask(client, self.sign())).status_code == 200

    async def test_a_missing_token_or_a_plain_name_is_refused(self, client: Client) -> None:
        assert code(await client.ask({})) == NOBODY
        assert code(await client.ask({"X-Forwarded-User": "ada"})) == NOBODY
        assert code(await self.ask(client, "ada")) == NOBODY

    async def test_the_token_takes_precedence_over_other_headers(self, client: Client) -> None:
        name = "Cf-Access-Jwt-Assertion"
        alone = await client.page({name: self.sign()})
        contradicted = await client.page({name: self.sign(), "X-Forwarded-User": "eve"})
        assert alone.json()["user"] == contradicted.json()["user"]

    @pytest.mark.parametrize(
        "changes",
        [
            {"aud": "another-application"},
            {"aud": None},
            {"iss": "https://other-team.example.com"},
            {"iss": None},
            {"exp": 1},
            {"exp": None},
            {"sub": None},
            {"sub": ""},
        ],
        ids=str,
    )
    async def test_an_invalid_token_is_refused(
        self, client: Client, changes: dict[str, object]
    ) -> None:
        assert code(await self.ask(client, self.sign(**changes))) == NOBODY

    async def test_another_key_and_tampering_are_refused(self, client: Client) -> None:
        forged = ec_key("k1").sign(iss=ISSUER, aud=AUDIENCE)
        assert code(await self.ask(client, forged)) == NOBODY
        header, _, signature = self.sign().split(".")
        payload = self.sign(sub="eve").split(".")[1]
        assert code(await self.ask(client, f"{header}.{payload}.{signature}")) == NOBODY

    async def test_a_token_from_an_untrusted_address_is_refused(
        self, client: Client, proxy: Serve
    ) -> None:
        async with proxy(PROXY_TRUSTED_ADDRESSES=ELSEWHERE) as elsewhere:
            assert code(await self.ask(elsewhere, self.sign())) == UNTRUSTED

    async def test_without_keys_sign_in_is_unavailable(
        self, client: Client, provider: IdentityProvider
    ) -> None:
        provider.status = 500
        assert code(await self.ask(client, self.sign())) == (503, "unavailable")

    async def test_only_the_proxy_can_issue_tokens(self) -> None:
        auth = proxy_auth(jwks_url="https://id.example/", issuer=ISSUER, audience=AUDIENCE)
        with pytest.raises(ValueError, match="PROXY_JWKS_URL"):
            await auth.sample_credentials("ada")
        await auth.close()


def proxy_auth(**own: Any) -> ProxyAuth:
    settings = ProxySettings(**{"trusted_addresses": LOOPBACK, **own})
    return ProxyAuth(Settings(), proxy_settings=settings)


class TestSettings:
    @pytest.mark.parametrize(
        ("own", "mend"),
        [
            ({"trusted_addresses": ""}, r"PROXY_TRUSTED_ADDRESSES is empty.*python3 -m app setup"),
            ({"trusted_addresses": "0.0.0.0/0"}, "whole internet"),
            ({"trusted_addresses": "127.0.0.1, ::/0"}, "whole internet"),
            ({"issuer": ISSUER}, "have no effect without PROXY_JWKS_URL"),
            ({"signer": "arn:aws:x"}, "have no effect without PROXY_JWKS_URL"),
            ({"audience": AUDIENCE}, "have no effect without PROXY_JWKS_URL"),
            ({"jwks_url": "https://id.example/"}, "set PROXY_ISSUER and PROXY_AUDIENCE"),
            (
                {"jwks_url": "https://id.example/", "issuer": ISSUER},
                "With PROXY_JWKS_URL, set PROXY_AUDIENCE",
            ),
        ],
        ids=str,
    )
    def test_invalid_settings_say_how_to_fix_them(self, own: dict[str, str], mend: str) -> None:
        with pytest.raises(ValueError, match=mend):
            proxy_auth(**own)

    @pytest.mark.parametrize(
        "own",
        [
            {"trusted_addresses": "the proxy"},
            {"trusted_addresses": "*"},
            {"trusted_addresses": "10.0.0.1/8"},
            {"header": "X Forwarded"},
            {"header": ""},
        ],
        ids=str,
    )
    def test_invalid_addresses_and_header_names_are_refused(self, own: dict[str, str]) -> None:
        with pytest.raises(ValidationError):
            proxy_auth(**own)


def test_uvicorn_sets_port_0_for_an_address_from_a_header() -> None:
    """`_is_from_header` relies on this: the port is 0 unless the header has one."""
    from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

    assert uvicorn.Config(lambda: None, log_config=None).proxy_headers
    trusted = ProxyHeadersMiddleware(None, "*").trusted_hosts  # type: ignore[arg-type]
    assert trusted.get_trusted_client_address("10.0.0.1, 10.0.0.2") == ("10.0.0.1", 0)
