"""Tokens that an identity provider signs, with its keys served over HTTP."""

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient, Response

from engine.auth import tokens
from engine.auth.tokens import TokenSettings, TokenVerifier, jwks_keys
from engine.http.addresses import Addresses
from engine.http.errors import install_error_handlers
from engine.settings.settings import Settings
from engine.tests.auth.tokens.identity_provider import (
    IdentityProvider,
    PrivateKey,
    SigningKey,
    ec_key,
    forged,
    running_provider,
)
from engine.tests.talk import PATIENCE_SECONDS

SECRET = "s" * 32
ISSUER = "https://id.example.com/"
AUDIENCE = "chat"

EXPIRED = "The access token has expired."
INVALID = "The access token is not valid."

MakeVerifier = Callable[..., TokenVerifier]


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with running_provider() as provider:
        yield provider


@pytest.fixture(scope="module")
def rsa_private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
async def make_verifier() -> AsyncIterator[MakeVerifier]:
    made: list[TokenVerifier] = []

    def make(**given: Any) -> TokenVerifier:
        settings = TokenSettings(**given)
        assert settings.jwks_url is not None
        made.append(TokenVerifier(jwks_keys(settings.jwks_url, settings), settings))
        return made[-1]

    yield make
    for verifier in made:
        await verifier.close()


async def me(verifier: TokenVerifier, token: str) -> Response:
    app = FastAPI()
    install_error_handlers(app, Addresses(Settings()))

    @app.get("/me")
    async def show() -> str:
        return (await verifier.user(token)).id

    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as client:
        return await client.get("/me")


def assert_refused(response: Response, message: str) -> None:
    assert response.status_code == 401
    assert response.json()["error"] == {"code": "unauthenticated", "message": message}


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
async def test_a_valid_token_signs_its_user_in(
    make_verifier: MakeVerifier,
    provider: IdentityProvider,
    rsa_private_key: rsa.RSAPrivateKey,
    algorithm: str,
) -> None:
    private: dict[str, PrivateKey] = {
        "RS256": rsa_private_key,
        "PS256": rsa_private_key,
        "ES256": ec.generate_private_key(ec.SECP256R1()),
        "EdDSA": ed25519.Ed25519PrivateKey.generate(),
    }
    key = SigningKey("k1", private[algorithm], algorithm)
    provider.publish(ec_key("other").public_jwk(), key.public_jwk())
    assert (await me(make_verifier(jwks_url=provider.url), key.sign())).json() == "ada"


async def test_a_single_key_needs_no_id(
    make_verifier: MakeVerifier, provider: IdentityProvider
) -> None:
    key = ec_key(None)
    provider.publish(key.public_jwk())
    assert (await me(make_verifier(jwks_url=provider.url), key.sign())).json() == "ada"


async def test_claims_are_checked(make_verifier: MakeVerifier, provider: IdentityProvider) -> None:
    key = ec_key("k1")
    provider.publish(key.public_jwk())
    verifier = make_verifier(jwks_url=provider.url, issuer=ISSUER, audience=AUDIENCE)
    assert (await me(verifier, key.sign(iss=ISSUER, aud=AUDIENCE))).json() == "ada"
    assert_refused(await me(verifier, key.sign(iss="other", aud=AUDIENCE)), INVALID)
    assert_refused(await me(verifier, key.sign(iss=ISSUER, aud="other")), INVALID)
    assert_refused(await me(verifier, key.sign(iss=ISSUER, aud=AUDIENCE, exp=1)), EXPIRED)


async def test_another_key_with_the_same_id_is_refused(
    make_verifier: MakeVerifier, provider: IdentityProvider
) -> None:
    provider.publish(ec_key("k1").public_jwk())
    assert_refused(await me(make_verifier(jwks_url=provider.url), ec_key("k1").sign()), INVALID)


async def test_a_public_key_is_not_accepted_as_hmac_secret(
    make_verifier: MakeVerifier,
    provider: IdentityProvider,
    rsa_private_key: rsa.RSAPrivateKey,
) -> None:
    key = SigningKey("k1", rsa_private_key, "RS256")
    provider.publish(key.public_jwk())
    verifier = make_verifier(jwks_url=provider.url)
    assert (await me(verifier, key.sign())).status_code == 200
    for public in (key.public_pem(), key.public_pem().strip(), provider.body):
        token = forged({"alg": "HS256", "kid": "k1"}, public)
        assert_refused(await me(verifier, token), INVALID)


async def test_a_symmetric_key_in_the_key_set_is_ignored(
    make_verifier: MakeVerifier, provider: IdentityProvider
) -> None:
    published = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
    provider.publish({"kty": "oct", "kid": "k1", "k": published})
    token = forged({"alg": "HS256", "kid": "k1"}, SECRET.encode())
    assert_refused(await me(make_verifier(jwks_url=provider.url), token), INVALID)


async def test_an_encryption_key_is_not_accepted(
    make_verifier: MakeVerifier, provider: IdentityProvider
) -> None:
    key = ec_key("k1")
    provider.publish(key.public_jwk() | {"use": "enc"}, ec_key("k2").public_jwk())
    assert_refused(await me(make_verifier(jwks_url=provider.url), key.sign()), INVALID)


async def test_an_unsigned_token_is_refused(
    make_verifier: MakeVerifier, provider: IdentityProvider
) -> None:
    provider.publish(ec_key("k1").public_jwk())
    token = forged({"alg": "none", "kid": "k1"})
    assert_refused(await me(make_verifier(jwks_url=provider.url), token), INVALID)


async def test_many_requests_fetch_the_keys_once(
    make_verifier: MakeVerifier, provider: IdentityProvider
) -> None:
    key = ec_key("k1")
    provider.publish(key.public_jwk())
    provider.may_answer.clear()
    verifier = make_verifier(jwks_url=provider.url, jwks_cooldown_seconds=0)
    at_once = [asyncio.create_task(me(verifier, key.sign())) for _ in range(10)]
    await provider.next_request()
    provider.may_answer.set()
    assert {response.status_code for response in await asyncio.gather(*at_once)} == {200}
    assert (await me(verifier, key.sign())).status_code == 200
    assert provider.requests == 1


async def test_keys_are_fetched_again_after_the_cache_time(
    make_verifier: MakeVerifier, provider: IdentityProvider
) -> None:
    key = ec_key("k1")
    provider.publish(key.public_jwk())
    verifier = make_verifier(jwks_url=provider.url, jwks_cache_seconds=0.2, jwks_cooldown_seconds=0)
    assert (await me(verifier, key.sign())).status_code == 200
    provider.publish(ec_key("k2").public_jwk())
    await asyncio.sleep(0.25)
    assert_refused(await me(verifier, key.sign()), INVALID)


async def test_a_new_key_is_fetched_at_once(
    make_verifier: MakeVerifier, provider: IdentityProvider
) -> None:
    old, new = ec_key("k1"), ec_key("k2")
    provider.publish(old.public_jwk())
    verifier = make_verifier(jwks_url=provider.url, jwks_cooldown_seconds=0)
    assert (await me(verifier, old.sign())).status_code == 200
    provider.publish(new.public_jwk())
    assert (await me(verifier, new.sign())).status_code == 200
    assert_refused(await me(verifier, old.sign()), INVALID)


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """A clock that only moves when a test sets it, so that slow machines make no difference."""
    clock = Clock()
    monkeypatch.setattr(tokens, "time", clock)
    return clock


async def test_unknown_key_ids_do_not_flood_the_provider(
    make_verifier: MakeVerifier, provider: IdentityProvider, clock: Clock
) -> None:
    key, new = ec_key("k1"), ec_key("k2")
    provider.publish(key.public_jwk())
    verifier = make_verifier(jwks_url=provider.url, jwks_cooldown_seconds=0.5)
    await me(verifier, key.sign())
    clock.now += 0.5
    storm = [me(verifier, ec_key(f"bogus{number}").sign()) for number in range(20)]
    for response in await asyncio.gather(*storm):
        assert_refused(response, INVALID)
    assert provider.requests == 2
    provider.publish(new.public_jwk())
    clock.now += 0.5
    assert (await me(verifier, new.sign())).status_code == 200
    assert provider.requests == 3


async def test_a_slow_provider_does_not_delay_requests_with_a_cached_key(
    make_verifier: MakeVerifier, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "JWKS_TIMEOUT_SECONDS", 2 * PATIENCE_SECONDS)
    key = ec_key("k1")
    provider.publish(key.public_jwk())
    verifier = make_verifier(jwks_url=provider.url, jwks_cache_seconds=0, jwks_cooldown_seconds=0)
    await me(verifier, key.sign())
    await provider.next_request()
    provider.may_answer.clear()
    waits = asyncio.create_task(me(verifier, key.sign()))
    await provider.next_request()
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await me(verifier, key.sign())).status_code == 200
    assert not waits.done()
    provider.may_answer.set()
    assert (await waits).status_code == 200


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (500, b'{"keys": [{"kty": "oct", "k": "YQ"}]}'),
        (302, b""),
        (200, b"<html>"),
        (200, b"[]"),
        (200, b'{"keys": []}'),
        (200, b'{"keys": [{"kty": "oct", "k": "YQ", "use": "enc"}]}'),
        (200, b'{"keys": [{"kty": "EC", "kid": []}]}'),
    ],
)
async def test_cached_keys_are_used_during_an_outage(
    make_verifier: MakeVerifier, provider: IdentityProvider, status: int, body: bytes
) -> None:
    key = ec_key("k1")
    provider.publish(key.public_jwk())
    verifier = make_verifier(jwks_url=provider.url, jwks_cache_seconds=0, jwks_cooldown_seconds=0)
    await me(verifier, key.sign())
    provider.status, provider.body = status, body
    assert (await me(verifier, key.sign())).status_code == 200
    assert_refused(await me(verifier, ec_key("k2").sign()), INVALID)
    assert provider.requests == 3


async def test_without_keys_sign_in_is_unavailable_until_the_provider_answers(
    make_verifier: MakeVerifier, provider: IdentityProvider, clock: Clock
) -> None:
    key = ec_key("k1")
    provider.status = 500
    verifier = make_verifier(jwks_url=provider.url, jwks_cooldown_seconds=0.5)
    for _ in range(3):
        response = await me(verifier, key.sign())
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "unavailable"
    assert provider.requests == 1
    provider.publish(key.public_jwk())
    clock.now += 0.5
    assert (await me(verifier, key.sign())).status_code == 200


async def test_a_slow_provider_counts_as_an_outage(
    make_verifier: MakeVerifier, provider: IdentityProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "JWKS_TIMEOUT_SECONDS", 0.3)
    key = ec_key("k1")
    provider.publish(key.public_jwk())
    provider.may_answer.clear()
    assert (await me(make_verifier(jwks_url=provider.url), key.sign())).status_code == 503


async def test_a_refused_connection_counts_as_an_outage(
    make_verifier: MakeVerifier,
) -> None:
    with IdentityProvider() as gone:
        url = gone.url
    assert (await me(make_verifier(jwks_url=url), ec_key("k1").sign())).status_code == 503
