"""The signed header of an AWS load balancer, with its keys served over HTTP."""

import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2
import jwt
import pytest

from engine.auth.proxy import load_balancer
from engine.tests.auth.proxy.test_proxy import (
    ELSEWHERE,
    LOOPBACK,
    NOBODY,
    UNTRUSTED,
    Client,
    Serve,
    code,
    proxy,
)
from engine.tests.auth.tokens.identity_provider import (
    IdentityProvider,
    SigningKey,
    ec_key,
    forged,
    running_provider,
)

__all__ = ["proxy"]

HEADER = "X-Amzn-Oidc-Data"
ARN = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/chat/50dc6c495c0c9188"
KEY_ID = "12345678-1234-1234-1234-123456789012"


@pytest.fixture(scope="module")
def keys() -> Iterator[IdentityProvider]:
    with running_provider() as server:
        yield server


@pytest.fixture
def key(keys: IdentityProvider) -> SigningKey:
    key = ec_key(KEY_ID)
    keys.status, keys.body, keys.requests = 200, key.public_pem(), 0
    keys.may_answer.set()
    return key


@pytest.fixture
async def client(proxy: Serve, keys: IdentityProvider) -> AsyncIterator[Client]:
    async with behind_balancer(proxy, keys) as client:
        yield client


def behind_balancer(proxy: Serve, keys: IdentityProvider, issuer: str = "") -> Client:
    return proxy(
        PROXY_TRUSTED_ADDRESSES=LOOPBACK,
        PROXY_HEADER=HEADER,
        PROXY_JWKS_URL=keys.url,
        PROXY_SIGNER=ARN,
        PROXY_AUDIENCE="chat-client",
        PROXY_ISSUER=issuer,
    )


def padded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).decode()


def signed(
    key: SigningKey, claims: dict[str, Any] | None = None, /, alg: str = "ES256", **header: object
) -> str:
    """A token as the load balancer signs it: padded, with signer and expiry in its header."""
    good = {
        "typ": "JWT",
        "kid": KEY_ID,
        "alg": alg,
        "iss": "https://id.example.com",
        "client": "chat-client",
        "signer": ARN,
        "exp": int(time.time()) + 120,
    }
    chosen = {name: value for name, value in (good | header).items() if value is not None}
    parts = [chosen, {"sub": "ada", "email": "ada@example.com"} if claims is None else claims]
    said = ".".join(padded(json.dumps(part).encode()) for part in parts)
    signature = jwt.get_algorithm_by_name("ES256").sign(said.encode(), key.private)
    return f"{said}.{padded(signature)}"


async def ask(client: Client, token: str) -> httpx2.Response:
    return await client.ask({HEADER: token})


async def test_a_signed_header_signs_its_user_in(
    client: Client, key: SigningKey, keys: IdentityProvider
) -> None:
    token = signed(key)
    assert "=" in token
    assert (await ask(client, token)).status_code == 200
    assert (await ask(client, signed(key, {"sub": "grace"}))).status_code == 200
    assert keys.requests == 1
    assert keys.path == f"/jwks/{KEY_ID}"


@pytest.mark.parametrize(
    "header",
    [
        {"signer": ARN.replace("chat", "another")},
        {"signer": None},
        {"signer": [ARN]},
        {"client": "another-client"},
        {"client": None},
        {"exp": 1},
        {"exp": None},
        {"exp": "tomorrow"},
        {"kid": None},
        {"kid": "../another"},
        {"kid": "key?x=1"},
        {"kid": "x" * 65},
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": "RS256"},
    ],
    ids=str,
)
async def test_an_invalid_token_is_refused(
    client: Client, key: SigningKey, header: dict[str, Any]
) -> None:
    assert code(await ask(client, signed(key, **header))) == NOBODY


@pytest.mark.parametrize(
    "claims", [{}, {"sub": ""}, {"sub": None}, {"sub": "ada", "exp": 1}, {"sub": "a\nb"}], ids=str
)
async def test_a_token_without_user_or_expired_is_refused(
    client: Client, key: SigningKey, claims: dict[str, Any]
) -> None:
    assert code(await ask(client, signed(key, claims))) == NOBODY


async def test_another_key_and_tampering_are_refused(client: Client, key: SigningKey) -> None:
    assert code(await ask(client, signed(ec_key(KEY_ID)))) == NOBODY
    header, _, signature = signed(key).split(".")
    payload = padded(b'{"sub": "eve"}')
    assert code(await ask(client, f"{header}.{payload}.{signature}")) == NOBODY
    hmac = forged({"alg": "HS256", "kid": KEY_ID, "signer": ARN}, key.public_pem())
    assert code(await ask(client, hmac)) == NOBODY
    assert code(await ask(client, "ada")) == NOBODY
    assert code(await client.ask({"X-Amzn-Oidc-Identity": "ada"})) == NOBODY


async def test_a_token_from_an_untrusted_address_is_refused(
    client: Client, key: SigningKey, proxy: Serve
) -> None:
    async with proxy(PROXY_TRUSTED_ADDRESSES=ELSEWHERE) as elsewhere:
        assert code(await ask(elsewhere, signed(key))) == UNTRUSTED


@pytest.mark.parametrize(("status", "body"), [(500, None), (200, b"no key")])
async def test_without_its_key_sign_in_is_unavailable(
    client: Client, key: SigningKey, keys: IdentityProvider, status: int, body: bytes | None
) -> None:
    keys.status, keys.body = status, body or keys.body
    assert code(await ask(client, signed(key))) == (503, "unavailable")


async def test_the_issuer_is_checked_if_set(
    proxy: Serve, key: SigningKey, keys: IdentityProvider
) -> None:
    async with behind_balancer(proxy, keys, issuer="https://id.example.com") as client:
        assert (await ask(client, signed(key))).status_code == 200
        for issuer in ("https://evil.example.com", None):
            assert code(await ask(client, signed(key, iss=issuer))) == NOBODY


async def test_a_slow_key_server_counts_as_an_outage(
    proxy: Serve, key: SigningKey, keys: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_balancer, "JWKS_TIMEOUT_SECONDS", 0.3)
    keys.may_answer.clear()
    async with behind_balancer(proxy, keys) as client:
        assert code(await ask(client, signed(key))) == (503, "unavailable")


async def test_unknown_key_ids_do_not_flood_the_key_server(
    client: Client, key: SigningKey, keys: IdentityProvider
) -> None:
    assert (await ask(client, signed(key))).status_code == 200
    keys.status, keys.requests = 404, 0
    assert code(await ask(client, signed(key, kid="made-up"))) == NOBODY
    for number in range(5):
        await ask(client, signed(key, kid=f"made-up-{number}"))
    assert keys.requests == 1
    assert (await ask(client, signed(key))).status_code == 200
