import asyncio
import base64
import hashlib
import hmac
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI, Request
from httpx import ASGITransport, AsyncClient, Response

from app.auth.base import MAX_USER_ID_LENGTH
from app.auth.jwt import JwtAuth, JwtSettings
from app.config import Settings
from app.errors import install_error_handlers

SECRET = "s" * 32
ISSUER = "https://id.example.com/"
AUDIENCE = "chat"

MISSING = "An access token is required."
EXPIRED = "The access token has expired."
INVALID = "The access token is not valid."
NO_USER = "The access token names no usable user."

MakeAuth = Callable[..., JwtAuth]
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@pytest.fixture
async def make_auth() -> AsyncIterator[MakeAuth]:
    made: list[JwtAuth] = []

    def make(**own: Any) -> JwtAuth:
        unset = dict.fromkeys(("secret", "jwks_url", "issuer", "audience"))
        made.append(JwtAuth(Settings(), jwt_settings=JwtSettings(**{**unset, **own})))
        return made[-1]

    yield make
    for auth in made:
        await auth.close()


async def me(auth: JwtAuth, token: str | None = None, **headers: str) -> Response:
    app = FastAPI()
    install_error_handlers(app)

    @app.get("/me")
    async def show(request: Request) -> str:
        return (await auth.authenticate(request)).id

    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as client:
        return await client.get("/me", headers=headers)


def assert_refused(response: Response, message: str) -> None:
    assert response.status_code == 401
    assert response.json()["error"] == {"code": "unauthenticated", "message": message}


def claims(**changes: object) -> dict[str, Any]:
    """Those of a good token, changed; a claim set to None is left out."""
    good = {"sub": "ada", "exp": int(time.time()) + 60, **changes}
    return {name: value for name, value in good.items() if value is not None}


def hs256(secret: str = SECRET, **changes: object) -> str:
    return jwt.encode(claims(**changes), secret, algorithm="HS256")


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def forged(header: dict[str, str], key: bytes | None = None) -> str:
    """A token that no library would make: signed with `key` by HMAC, or with nothing."""
    signed = f"{encoded(header)}.{encoded(claims())}"
    if key is None:
        return f"{signed}."
    signature = hmac.digest(key, signed.encode(), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


class TestSharedSecret:
    async def test_a_good_token_signs_its_user_in(self, make_auth: MakeAuth) -> None:
        assert (await me(make_auth(secret=SECRET), hs256())).json() == "ada"

    @pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer", "Bearer ", "token"])
    async def test_no_token_is_refused(self, make_auth: MakeAuth, header: str) -> None:
        assert_refused(await me(make_auth(secret=SECRET)), MISSING)
        assert_refused(await me(make_auth(secret=SECRET), Authorization=header), MISSING)

    @pytest.mark.parametrize("token", ["garbage", "a.b.c", "...", f"{'W1tb' * 2000}.e30.AA"])
    async def test_garbage_is_refused(self, make_auth: MakeAuth, token: str) -> None:
        assert_refused(await me(make_auth(secret=SECRET), token), INVALID)

    async def test_a_tampered_token_is_refused(self, make_auth: MakeAuth) -> None:
        header, _, signature = hs256().split(".")
        token = f"{header}.{encoded(claims(sub='eve'))}.{signature}"
        assert_refused(await me(make_auth(secret=SECRET), token), INVALID)

    async def test_a_token_by_another_secret_is_refused(self, make_auth: MakeAuth) -> None:
        assert_refused(await me(make_auth(secret=SECRET), hs256("x" * 32)), INVALID)

    @pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", ""])
    async def test_an_unsigned_token_is_refused(self, make_auth: MakeAuth, algorithm: str) -> None:
        assert_refused(await me(make_auth(secret=SECRET), forged({"alg": algorithm})), INVALID)

    async def test_another_algorithm_is_refused(self, make_auth: MakeAuth) -> None:
        token = jwt.encode(claims(), "s" * 64, algorithm="HS512")
        assert_refused(await me(make_auth(secret="s" * 64), token), INVALID)

    async def test_time_is_checked_with_leeway(self, make_auth: MakeAuth) -> None:
        auth = make_auth(secret=SECRET, leeway_seconds=30)
        now = int(time.time())
        assert (await me(auth, hs256(exp=now - 10))).status_code == 200
        assert_refused(await me(auth, hs256(exp=now - 40)), EXPIRED)
        assert (await me(auth, hs256(nbf=now + 10))).status_code == 200
        assert_refused(await me(auth, hs256(nbf=now + 60)), INVALID)
        assert_refused(await me(auth, hs256(iat=now + 60)), INVALID)

    @pytest.mark.parametrize("exp", [None, "soon", [], float("inf")])
    async def test_a_token_that_never_expires_is_refused(
        self, make_auth: MakeAuth, exp: object
    ) -> None:
        assert_refused(await me(make_auth(secret=SECRET), hs256(exp=exp)), INVALID)

    @pytest.mark.parametrize("issuer", [None, "https://id.example.com", "https://evil.example/"])
    async def test_the_issuer_must_match(self, make_auth: MakeAuth, issuer: str | None) -> None:
        auth = make_auth(secret=SECRET, issuer=ISSUER)
        assert (await me(auth, hs256(iss=ISSUER))).status_code == 200
        assert_refused(await me(auth, hs256(iss=issuer)), INVALID)

    @pytest.mark.parametrize("audience", [None, "other", "chat2", ["other"], []])
    async def test_the_audience_must_match(self, make_auth: MakeAuth, audience: object) -> None:
        auth = make_auth(secret=SECRET, audience=AUDIENCE)
        assert (await me(auth, hs256(aud=["other", AUDIENCE]))).status_code == 200
        assert_refused(await me(auth, hs256(aud=audience)), INVALID)

    async def test_a_token_for_somebody_else_is_refused_when_no_audience_is_set(
        self, make_auth: MakeAuth
    ) -> None:
        assert_refused(await me(make_auth(secret=SECRET), hs256(aud="other")), INVALID)

    async def test_a_token_without_a_user_is_refused(self, make_auth: MakeAuth) -> None:
        assert_refused(await me(make_auth(secret=SECRET), hs256(sub=None)), INVALID)

    @pytest.mark.parametrize(
        "user_id", ["", "nul\0", "two\nlines", "\ud800", "x" * (MAX_USER_ID_LENGTH + 1)]
    )
    async def test_an_unusable_user_id_is_refused(self, make_auth: MakeAuth, user_id: str) -> None:
        assert_refused(await me(make_auth(secret=SECRET), hs256(sub=user_id)), NO_USER)

    async def test_the_longest_user_id_is_accepted(self, make_auth: MakeAuth) -> None:
        token = hs256(sub="x" * MAX_USER_ID_LENGTH)
        assert (await me(make_auth(secret=SECRET), token)).status_code == 200

    async def test_another_claim_may_name_the_user(self, make_auth: MakeAuth) -> None:
        auth = make_auth(secret=SECRET, user_claim="email")
        assert (await me(auth, hs256(email="ada@example.com"))).json() == "ada@example.com"
        assert_refused(await me(auth, hs256()), INVALID)
        assert_refused(await me(auth, hs256(email=["ada"])), NO_USER)
        assert_refused(await me(auth, hs256(email=1)), NO_USER)

    async def test_sample_credentials_sign_in(self, make_auth: MakeAuth) -> None:
        auth = make_auth(secret=SECRET, issuer=ISSUER, audience=AUDIENCE, user_claim="uid")
        assert (await me(auth, **await auth.sample_credentials("ada"))).json() == "ada"


class TestSettings:
    @pytest.mark.parametrize(
        ("own", "mend"),
        [
            ({}, r"exactly one of JWT_SECRET and JWT_JWKS_URL.*python -m app setup"),
            (
                {"secret": SECRET, "jwks_url": "https://id.example.com/jwks"},
                r"exactly one of JWT_SECRET and JWT_JWKS_URL",
            ),
            ({"secret": "hunter2"}, r"JWT_SECRET is shorter than 32 bytes.*token_urlsafe"),
        ],
    )
    async def test_unusable_ones_say_how_to_mend_them(
        self, make_auth: MakeAuth, own: dict[str, str], mend: str
    ) -> None:
        with pytest.raises(ValueError, match=mend) as raised:
            make_auth(**own)
        assert own.get("secret", "hunter2") not in str(raised.value)

    async def test_they_come_from_the_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("JWT_SECRET", SECRET)
        monkeypatch.setenv("JWT_ISSUER", ISSUER)
        monkeypatch.setenv("JWT_AUDIENCE", AUDIENCE)
        monkeypatch.setenv("JWT_JWKS_URL", "")
        auth = JwtAuth(Settings())
        assert (await me(auth, hs256(iss=ISSUER, aud=AUDIENCE))).json() == "ada"


class SigningKey:
    """A key pair of the identity provider."""

    def __init__(
        self,
        key_id: str | None,
        private: PrivateKey,
        algorithm: str = "ES256",
    ) -> None:
        self.key_id = key_id
        self.private = private
        self.algorithm = algorithm

    def sign(self, **changes: object) -> str:
        headers = None if self.key_id is None else {"kid": self.key_id}
        return jwt.encode(claims(**changes), self.private, self.algorithm, headers)

    def public_jwk(self) -> dict[str, Any]:
        public = self.private.public_key()
        jwk: dict[str, Any] = json.loads(jwt.get_algorithm_by_name(self.algorithm).to_jwk(public))
        return jwk | {"alg": self.algorithm} | ({"kid": self.key_id} if self.key_id else {})

    def public_pem(self) -> bytes:
        public = self.private.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def ec_key(key_id: str | None) -> SigningKey:
    return SigningKey(key_id, ec.generate_private_key(ec.SECP256R1()))


class IdentityProvider(ThreadingHTTPServer):
    """Serves its keys over real HTTP, counts the requests, and can fail or hang."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _JwksHandler)
        self.status = 200
        self.body = b""
        self.requests = 0
        self.arrivals = threading.Semaphore(0)
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/jwks"

    def publish(self, *jwks: dict[str, Any]) -> None:
        self.status = 200
        self.body = json.dumps({"keys": jwks}).encode()

    async def next_request(self) -> None:
        """Wait for the next one that no earlier call waited for."""
        assert await asyncio.to_thread(self.arrivals.acquire, timeout=5)


class _JwksHandler(BaseHTTPRequestHandler):
    server: IdentityProvider

    def do_GET(self) -> None:
        self.server.requests += 1
        self.server.arrivals.release()
        self.server.may_answer.wait(5)
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.may_answer.set()
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def rsa_private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class TestJwks:
    @pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "EdDSA"])
    async def test_a_good_token_signs_its_user_in(
        self,
        make_auth: MakeAuth,
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
        assert (await me(make_auth(jwks_url=provider.url), key.sign())).json() == "ada"

    async def test_a_provider_with_one_unnamed_key_will_do(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        key = ec_key(None)
        provider.publish(key.public_jwk())
        assert (await me(make_auth(jwks_url=provider.url), key.sign())).json() == "ada"

    async def test_claims_are_checked_as_with_a_secret(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        key = ec_key("k1")
        provider.publish(key.public_jwk())
        auth = make_auth(jwks_url=provider.url, issuer=ISSUER, audience=AUDIENCE)
        assert (await me(auth, key.sign(iss=ISSUER, aud=AUDIENCE))).json() == "ada"
        assert_refused(await me(auth, key.sign(iss="other", aud=AUDIENCE)), INVALID)
        assert_refused(await me(auth, key.sign(iss=ISSUER, aud="other")), INVALID)
        assert_refused(await me(auth, key.sign(iss=ISSUER, aud=AUDIENCE, exp=1)), EXPIRED)

    async def test_an_impostor_with_the_same_key_id_is_refused(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        provider.publish(ec_key("k1").public_jwk())
        assert_refused(await me(make_auth(jwks_url=provider.url), ec_key("k1").sign()), INVALID)

    async def test_a_public_key_is_no_hmac_secret(
        self,
        make_auth: MakeAuth,
        provider: IdentityProvider,
        rsa_private_key: rsa.RSAPrivateKey,
    ) -> None:
        key = SigningKey("k1", rsa_private_key, "RS256")
        provider.publish(key.public_jwk())
        auth = make_auth(jwks_url=provider.url)
        assert (await me(auth, key.sign())).status_code == 200
        for public in (key.public_pem(), key.public_pem().strip(), provider.body):
            token = forged({"alg": "HS256", "kid": "k1"}, public)
            assert_refused(await me(auth, token), INVALID)

    async def test_a_symmetric_key_among_the_public_ones_signs_nothing(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        published = base64.urlsafe_b64encode(SECRET.encode()).rstrip(b"=").decode()
        provider.publish({"kty": "oct", "kid": "k1", "k": published})
        token = forged({"alg": "HS256", "kid": "k1"}, SECRET.encode())
        assert_refused(await me(make_auth(jwks_url=provider.url), token), INVALID)

    async def test_a_key_for_encryption_signs_nothing(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        key = ec_key("k1")
        provider.publish(key.public_jwk() | {"use": "enc"}, ec_key("k2").public_jwk())
        assert_refused(await me(make_auth(jwks_url=provider.url), key.sign()), INVALID)

    async def test_an_unsigned_token_is_refused(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        provider.publish(ec_key("k1").public_jwk())
        token = forged({"alg": "none", "kid": "k1"})
        assert_refused(await me(make_auth(jwks_url=provider.url), token), INVALID)

    async def test_keys_are_fetched_once_for_many_requests(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        key = ec_key("k1")
        provider.publish(key.public_jwk())
        provider.may_answer.clear()
        auth = make_auth(jwks_url=provider.url, jwks_cooldown_seconds=0)
        at_once = [asyncio.create_task(me(auth, key.sign())) for _ in range(10)]
        await provider.next_request()
        provider.may_answer.set()
        assert {response.status_code for response in await asyncio.gather(*at_once)} == {200}
        assert (await me(auth, key.sign())).status_code == 200
        assert provider.requests == 1

    async def test_keys_are_fetched_again_when_they_are_old(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        key = ec_key("k1")
        provider.publish(key.public_jwk())
        auth = make_auth(jwks_url=provider.url, jwks_cache_seconds=0.2, jwks_cooldown_seconds=0)
        assert (await me(auth, key.sign())).status_code == 200
        provider.publish(ec_key("k2").public_jwk())
        await asyncio.sleep(0.25)
        assert_refused(await me(auth, key.sign()), INVALID)

    async def test_a_new_key_is_found_at_once(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        old, new = ec_key("k1"), ec_key("k2")
        provider.publish(old.public_jwk())
        auth = make_auth(jwks_url=provider.url, jwks_cooldown_seconds=0)
        assert (await me(auth, old.sign())).status_code == 200
        provider.publish(new.public_jwk())
        assert (await me(auth, new.sign())).status_code == 200
        assert_refused(await me(auth, old.sign()), INVALID)

    async def test_made_up_key_ids_cause_no_storm(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        key, new = ec_key("k1"), ec_key("k2")
        provider.publish(key.public_jwk())
        auth = make_auth(jwks_url=provider.url, jwks_cooldown_seconds=0.5)
        await me(auth, key.sign())
        await asyncio.sleep(0.5)
        storm = [me(auth, ec_key(f"bogus{number}").sign()) for number in range(20)]
        for response in await asyncio.gather(*storm):
            assert_refused(response, INVALID)
        assert provider.requests == 2
        provider.publish(new.public_jwk())
        await asyncio.sleep(0.5)
        assert (await me(auth, new.sign())).status_code == 200
        assert provider.requests == 3

    async def test_a_slow_provider_delays_nobody_whose_key_is_known(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        key = ec_key("k1")
        provider.publish(key.public_jwk())
        auth = make_auth(jwks_url=provider.url, jwks_cache_seconds=0, jwks_cooldown_seconds=0)
        await me(auth, key.sign())
        await provider.next_request()
        provider.may_answer.clear()
        waits = asyncio.create_task(me(auth, key.sign()))
        await provider.next_request()
        async with asyncio.timeout(2):
            assert (await me(auth, key.sign())).status_code == 200
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
    async def test_the_last_good_keys_outlive_an_outage(
        self, make_auth: MakeAuth, provider: IdentityProvider, status: int, body: bytes
    ) -> None:
        key = ec_key("k1")
        provider.publish(key.public_jwk())
        auth = make_auth(jwks_url=provider.url, jwks_cache_seconds=0, jwks_cooldown_seconds=0)
        await me(auth, key.sign())
        provider.status, provider.body = status, body
        assert (await me(auth, key.sign())).status_code == 200
        assert_refused(await me(auth, ec_key("k2").sign()), INVALID)
        assert provider.requests == 3

    async def test_with_no_keys_at_all_sign_in_is_unavailable_until_the_provider_is_back(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        key = ec_key("k1")
        provider.status = 500
        auth = make_auth(jwks_url=provider.url, jwks_cooldown_seconds=0.5)
        for _ in range(3):
            response = await me(auth, key.sign())
            assert response.status_code == 503
            assert response.json()["error"]["code"] == "unavailable"
        assert provider.requests == 1
        provider.publish(key.public_jwk())
        await asyncio.sleep(0.5)
        assert (await me(auth, key.sign())).status_code == 200

    async def test_a_provider_that_nobody_answers_for_is_an_outage_too(
        self, make_auth: MakeAuth
    ) -> None:
        with IdentityProvider() as gone:
            url = gone.url
        assert (await me(make_auth(jwks_url=url), ec_key("k1").sign())).status_code == 503

    async def test_nobody_here_can_make_credentials(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        with pytest.raises(ValueError, match="identity provider"):
            await make_auth(jwks_url=provider.url).sample_credentials("ada")
