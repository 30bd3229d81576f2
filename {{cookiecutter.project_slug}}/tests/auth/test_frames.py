"""Signing in from a frame: what the window gives it, and what that is good for."""

import hmac
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from app.auth.frames import CODE_SECONDS, FrameCodes
from app.auth.sessions import COOKIE
from app.config import Settings
from app.errors import Unauthenticated
from app.main import create_app
from app.stores.sessions import Session
from tests.conftest import serving
from tests.talk import Visitor

SITE = "https://www.example.com"
KEY, NEW_KEY = "the-key-of-this-year-is-long-enough", "the-key-of-next-year-is-long-enough"
ADA = Session("ada", "hash-of-a-secret", "Ada")


@pytest.fixture(scope="module")
async def embeddable(settings: Settings) -> AsyncIterator[str]:
    app = create_app(settings.model_copy(update={"allowed_origins": (SITE,)}))
    async with serving(app) as url:
        yield url


@pytest.fixture
async def frame(embeddable: str) -> AsyncIterator[httpx.AsyncClient]:
    """A browser's frame, which has cookies of its own: none."""
    async with httpx.AsyncClient(base_url=embeddable) as client:
        yield client


async def code_of(window: Visitor) -> str:
    response = await window.client.post("/sign-in/frame/code")
    assert response.headers["cache-control"] == "no-store"
    code: str = response.json()["code"]
    return code


async def enter(frame: httpx.AsyncClient, code: str, **headers: str) -> httpx.Response:
    return await frame.post("/sign-in/frame?embedded", data={"code": code}, headers=headers)


async def test_the_frame_is_signed_in_as_who_signed_in_in_the_window(
    visitor: Visitor, frame: httpx.AsyncClient
) -> None:
    turn = await visitor.say("hello")

    entered = await enter(frame, await code_of(visitor))

    assert entered.status_code == 204
    [cookie] = entered.headers.get_list("set-cookie")
    assert cookie.endswith("SameSite=none; Secure; Partitioned")
    request = {"type": "threads.get_by_id", "params": {"thread_id": turn.thread_id}}
    own = {"Cookie": cookie.partition(";")[0]}
    assert (await frame.post("/chatkit", json=request, headers=own)).status_code == 200
    assert own["Cookie"] not in visitor.client.headers["Cookie"]


async def test_who_is_not_signed_in_gets_no_code_and_is_sent_to_sign_in(
    frame: httpx.AsyncClient,
) -> None:
    assert (await frame.post("/sign-in/frame/code")).status_code == 401
    window = await frame.get("/sign-in/frame")
    assert window.status_code == 303
    assert window.headers["location"] == "/sign-in?next=%2Fsign-in%2Fframe"


async def test_the_windows_last_page_is_no_ones_to_frame(visitor: Visitor) -> None:
    window = await visitor.client.get("/sign-in/frame")
    assert "You are signed in" in window.text
    assert "frame-ancestors 'none'" in window.headers["content-security-policy"]


async def test_a_code_dies_with_its_session(visitor: Visitor, frame: httpx.AsyncClient) -> None:
    code = await code_of(visitor)
    token = (await visitor.client.get("/config.json")).json()["account"]["formToken"]
    assert (await visitor.client.post("/sign-out", data={"form_token": token})).is_redirect

    assert (await enter(frame, code)).status_code == 401


async def test_another_sites_page_can_neither_ask_for_a_code_nor_hand_one_in(
    visitor: Visitor, frame: httpx.AsyncClient
) -> None:
    code = await code_of(visitor)
    foreign = {"Origin": "https://evil.example"}
    asked = await visitor.client.post("/sign-in/frame/code", headers=foreign)
    assert asked.status_code == 403
    entered = await enter(frame, code, **foreign)
    assert entered.status_code == 403
    assert COOKIE not in entered.headers.get("set-cookie", "")


@pytest.mark.parametrize("code", ["", ".", "e30=.", "ada", "é.é"])
async def test_what_is_no_code_signs_nobody_in(frame: httpx.AsyncClient, code: str) -> None:
    assert (await enter(frame, code)).status_code == 401


def test_a_code_is_good_for_a_minute() -> None:
    settings = Settings(secret_key=KEY)
    code = FrameCodes(settings).code(ADA)
    assert FrameCodes(settings).read(code) == ("ada", "hash-of-a-secret")

    later = FrameCodes(settings, clock=lambda: time.time() + CODE_SECONDS + 1)
    with pytest.raises(Unauthenticated):
        later.read(code)


def test_a_code_is_signed() -> None:
    ours = FrameCodes(Settings(secret_key=KEY))
    text, _, signature = ours.code(ADA).partition(".")
    other, _, _ = ours.code(Session("bob", "hash-of-a-secret", None)).partition(".")
    with pytest.raises(Unauthenticated):
        ours.read(f"{other}.{signature}")
    with pytest.raises(Unauthenticated):
        FrameCodes(Settings(secret_key=NEW_KEY)).read(f"{text}.{signature}")


def test_what_the_same_key_signed_for_something_else_is_no_code() -> None:
    settings = Settings(secret_key=KEY)
    text, _, _ = FrameCodes(settings).code(ADA).partition(".")
    signature = hmac.new(settings.signing_keys[-1].encode(), text.encode(), "sha256").hexdigest()
    with pytest.raises(Unauthenticated):
        FrameCodes(settings).read(f"{text}.{signature}")


def test_a_key_that_was_replaced_still_counts() -> None:
    code = FrameCodes(Settings(secret_key=KEY)).code(ADA)
    rotated = FrameCodes(Settings(secret_key=NEW_KEY, secret_key_previous=KEY))
    assert rotated.read(code) == ("ada", "hash-of-a-secret")
