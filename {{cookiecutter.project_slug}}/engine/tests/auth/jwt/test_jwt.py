import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import jwt
import pytest
from fastapi import FastAPI, Request
from httpx2 import ASGITransport, AsyncClient, Response

from engine.auth.base import MAX_USER_ID_LENGTH
from engine.auth.jwt.sign_in import JwtAuth, JwtSettings
from engine.http.addresses import Addresses
from engine.http.errors import install_error_handlers
from engine.settings.settings import Settings
from engine.tests.auth.tokens.identity_provider import (
    IdentityProvider,
    claims,
    ec_key,
    encoded,
    forged,
    running_provider,
)

SECRET = "s" * 32
ISSUER = "https://id.example.com/"
AUDIENCE = "chat"

MISSING = "An access token is required."
EXPIRED = "The access token has expired."
INVALID = "The access token is not valid."
JWKS = "https://id.example.com/jwks"
NO_USER = "The access token names no usable user."

MakeAuth = Callable[..., JwtAuth]


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
    install_error_handlers(app, Addresses(Settings()))

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


def hs256(secret: str = SECRET, **changes: object) -> str:
    return jwt.encode(claims(**changes), secret, algorithm="HS256")


class TestSharedSecret:
    async def test_a_valid_token_signs_its_user_in(self, make_auth: MakeAuth) -> None:
        assert (await me(make_auth(secret=SECRET), hs256())).json() == "ada"

    @pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer", "Bearer ", "token"])
    async def test_a_missing_token_is_refused(self, make_auth: MakeAuth, header: str) -> None:
        assert_refused(await me(make_auth(secret=SECRET)), MISSING)
        assert_refused(await me(make_auth(secret=SECRET), Authorization=header), MISSING)

    @pytest.mark.parametrize("token", ["garbage", "a.b.c", "...", f"{'W1tb' * 2000}.e30.AA"])
    async def test_a_malformed_token_is_refused(self, make_auth: MakeAuth, token: str) -> None:
        assert_refused(await me(make_auth(secret=SECRET), token), INVALID)

    async def test_a_tampered_token_is_refused(self, make_auth: MakeAuth) -> None:
        header, _, signature = hs256().split(".")
        token = f"{header}.{encoded(claims(sub='eve'))}.{signature}"
        assert_refused(await me(make_auth(secret=SECRET), token), INVALID)

    async def test_a_token_signed_with_another_secret_is_refused(self, make_auth: MakeAuth) -> None:
        assert_refused(await me(make_auth(secret=SECRET), hs256("x" * 32)), INVALID)

    @pytest.mark.parametrize("algorithm", ["none", "None", "nOnE", ""])
    async def test_an_unsigned_token_is_refused(self, make_auth: MakeAuth, algorithm: str) -> None:
        assert_refused(await me(make_auth(secret=SECRET), forged({"alg": algorithm})), INVALID)

    async def test_another_algorithm_is_refused(self, make_auth: MakeAuth) -> None:
        token = jwt.encode(claims(), "s" * 64, algorithm="HS512")
        assert_refused(await me(make_auth(secret="s" * 64), token), INVALID)

    async def test_time_is_checked_with_leeway(self, make_auth: MakeAuth) -> None:
        auth = make_auth(secret=SECRET)
        now = int(time.time())
        assert (await me(auth, hs256(exp=now - 10))).status_code == 200
        assert_refused(await me(auth, hs256(exp=now - 40)), EXPIRED)
        assert (await me(auth, hs256(nbf=now + 10))).status_code == 200
        assert_refused(await me(auth, hs256(nbf=now + 60)), INVALID)
        assert_refused(await me(auth, hs256(iat=now + 60)), INVALID)

    @pytest.mark.parametrize("exp", [None, "soon", [], float("inf")])
    async def test_a_token_without_expiry_is_refused(
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

    async def test_a_token_with_an_audience_is_refused_when_none_is_set(
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
            ({}, r"exactly one of JWT_SECRET and JWT_JWKS_URL.*python3 -m app setup"),
            (
                {"secret": SECRET, "jwks_url": JWKS},
                r"exactly one of JWT_SECRET and JWT_JWKS_URL",
            ),
            ({"secret": "hunter2"}, r"JWT_SECRET is shorter than 32 bytes.*token_urlsafe"),
            ({"jwks_url": JWKS}, r"With JWT_JWKS_URL, set JWT_ISSUER and JWT_AUDIENCE too"),
            ({"jwks_url": JWKS, "audience": AUDIENCE}, r"With JWT_JWKS_URL, set JWT_ISSUER too"),
            ({"jwks_url": JWKS, "issuer": ISSUER}, r"With JWT_JWKS_URL, set JWT_AUDIENCE too"),
        ],
    )
    async def test_invalid_settings_say_how_to_fix_them(
        self, make_auth: MakeAuth, own: dict[str, str], mend: str
    ) -> None:
        with pytest.raises(ValueError, match=mend) as raised:
            make_auth(**own)
        assert own.get("secret", "hunter2") not in str(raised.value)

    async def test_settings_come_from_the_environment(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("JWT_SECRET", SECRET)
        monkeypatch.setenv("JWT_ISSUER", ISSUER)
        monkeypatch.setenv("JWT_AUDIENCE", AUDIENCE)
        monkeypatch.setenv("JWT_JWKS_URL", "")
        auth = JwtAuth(Settings())
        assert (await me(auth, hs256(iss=ISSUER, aud=AUDIENCE))).json() == "ada"


class TestPublishedKeys:
    @pytest.fixture
    def provider(self) -> Iterator[IdentityProvider]:
        with running_provider() as provider:
            yield provider

    async def test_a_token_of_the_identity_provider_signs_its_user_in(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        key = ec_key("k1")
        provider.publish(key.public_jwk())
        auth = make_auth(jwks_url=provider.url, issuer=ISSUER, audience=AUDIENCE)
        ours = {"iss": ISSUER, "aud": AUDIENCE}
        assert (await me(auth, key.sign(**ours))).json() == "ada"
        assert_refused(await me(auth, ec_key("k1").sign(**ours)), INVALID)
        # The same key signs tokens for other applications too.
        assert_refused(await me(auth, key.sign(**ours | {"aud": "https://mail.test"})), INVALID)
        assert_refused(await me(auth, key.sign(**ours | {"iss": "https://id.test/2"})), INVALID)

    async def test_only_the_identity_provider_can_issue_tokens(
        self, make_auth: MakeAuth, provider: IdentityProvider
    ) -> None:
        auth = make_auth(jwks_url=provider.url, issuer=ISSUER, audience=AUDIENCE)
        with pytest.raises(ValueError, match="identity provider"):
            await auth.sample_credentials("ada")
