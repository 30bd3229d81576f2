"""Sign-in from a frame: the code of the window and its exchange for a session."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx2
import pytest
from sqlalchemy import func, select, update

from engine.auth.sessions.rows import SessionRow, end_sessions, lock_user
from engine.auth.sessions.sessions import COOKIE
from engine.database.database import Database
from engine.launcher.frames.routes import FrameCode
from engine.launcher.frames.rows import FrameCodeRow
from engine.settings.settings import Settings
from engine.tests.application import create_app
from engine.tests.fixtures import serving
from engine.tests.talk import Visitor

SITE = "https://www.example.com"


@pytest.fixture(scope="module")
async def embeddable(settings: Settings) -> AsyncIterator[str]:
    app = create_app(settings.model_copy(update={"allowed_origins": (SITE,)}))
    async with serving(app) as url:
        yield url


@pytest.fixture
async def frame(embeddable: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A frame of a browser, with separate cookies."""
    async with httpx2.AsyncClient(base_url=embeddable, timeout=30) as client:
        yield client


async def code_of(window: Visitor) -> str:
    response = await window.client.post("/sign-in/frame/code")
    assert response.headers["cache-control"] == "no-store"
    code: str = response.json()["code"]
    return code


async def enter(frame: httpx2.AsyncClient, code: str, **headers: str) -> httpx2.Response:
    return await frame.post("/sign-in/frame?embedded", data={"code": code}, headers=headers)


async def test_the_frame_gets_a_session_of_the_windows_user(
    visitor: Visitor, frame: httpx2.AsyncClient
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


async def test_without_a_session_there_is_no_code_but_a_redirect_to_sign_in(
    frame: httpx2.AsyncClient,
) -> None:
    assert (await frame.post("/sign-in/frame/code")).status_code == 401
    window = await frame.get("/sign-in/frame")
    assert window.status_code == 303
    assert window.headers["location"] == "/sign-in?next=%2Fsign-in%2Fframe"


async def test_the_windows_last_page_cannot_be_framed(visitor: Visitor) -> None:
    window = await visitor.client.get("/sign-in/frame")
    assert "You are signed in" in window.text
    assert "frame-ancestors 'none'" in window.headers["content-security-policy"]


async def test_a_code_ends_with_its_session(visitor: Visitor, frame: httpx2.AsyncClient) -> None:
    code = await code_of(visitor)
    token = (await visitor.client.get("/config.json")).json()["account"]["formToken"]
    assert (await visitor.client.post("/sign-out", data={"form_token": token})).is_redirect

    assert (await enter(frame, code)).status_code == 401


async def test_another_site_can_neither_get_nor_exchange_a_code(
    visitor: Visitor, frame: httpx2.AsyncClient
) -> None:
    code = await code_of(visitor)
    foreign = {"Origin": "https://evil.example"}
    asked = await visitor.client.post("/sign-in/frame/code", headers=foreign)
    assert asked.status_code == 403
    entered = await enter(frame, code, **foreign)
    assert entered.status_code == 403
    assert COOKIE not in entered.headers.get("set-cookie", "")


@pytest.mark.parametrize("code", ["", ".", "e30=", "WzEsMiwzXQ==", "ada", "é.é"])
async def test_an_invalid_code_is_refused(frame: httpx2.AsyncClient, code: str) -> None:
    assert (await enter(frame, code)).status_code == 401


async def test_a_code_can_be_exchanged_once(visitor: Visitor, frame: httpx2.AsyncClient) -> None:
    code = await code_of(visitor)
    assert (await enter(frame, code)).status_code == 204
    assert (await enter(frame, code)).status_code == 401
    # Another code of the same session does not work either.
    assert (await enter(frame, await code_of(visitor))).status_code == 204


async def test_of_parallel_exchanges_on_two_workers_one_succeeds(
    visitor: Visitor, frame: httpx2.AsyncClient, base_url: str
) -> None:
    code = await code_of(visitor)
    async with httpx2.AsyncClient(base_url=base_url, timeout=30) as other:
        entered = await asyncio.gather(
            *(enter(to, code) for to in (frame, other) for _ in range(5))
        )
    assert sorted(response.status_code for response in entered) == [204, *[401] * 9]


async def test_a_code_expires_after_a_minute(
    visitor: Visitor, frame: httpx2.AsyncClient, database: Database
) -> None:
    for seconds, status in ((50, 204), (61, 401)):
        code = await code_of(visitor)
        ago = func.now() - timedelta(seconds=seconds)
        mine = update(FrameCodeRow).where(FrameCodeRow.user_id == visitor.user_id)
        await database.fetch(visitor.user_id, mine.values(created_at=ago))
        assert (await enter(frame, code)).status_code == status


async def test_a_code_is_bound_to_one_session(
    visitor: Visitor, stranger: Visitor, frame: httpx2.AsyncClient
) -> None:
    ours = FrameCode.parse(await code_of(visitor))
    theirs = FrameCode.parse(await code_of(stranger))
    forged = [
        FrameCode(theirs.user_id, theirs.session_id, ours.secret),
        FrameCode(ours.user_id, theirs.session_id, ours.secret),
        FrameCode(ours.user_id, ours.session_id, ours.digest),
        FrameCode("", "", ""),
        FrameCode("a\0", "b", "c"),
    ]
    for code in forged:
        assert (await enter(frame, str(code))).status_code == 401
    assert (await enter(frame, str(ours))).status_code == 204


async def test_only_a_hash_of_the_code_is_stored(visitor: Visitor, database: Database) -> None:
    code = FrameCode.parse(await code_of(visitor))
    [row] = await database.fetch(
        visitor.user_id, select(FrameCodeRow.code).where(FrameCodeRow.user_id == code.user_id)
    )
    assert row.code == code.digest != code.secret


async def test_ending_all_sessions_includes_sessions_from_codes(
    visitor: Visitor, frame: httpx2.AsyncClient, database: Database
) -> None:
    code = await code_of(visitor)
    me = visitor.user_id
    async with database.transaction(me) as connection:
        await connection.execute(lock_user(me))
        entering = asyncio.create_task(enter(frame, code))
        await asyncio.sleep(0.3)
        assert not entering.done()
        await connection.execute(end_sessions(me))
    assert (await entering).status_code == 401
    left = select(SessionRow.id).where(SessionRow.user_id == me)
    assert await database.fetch(me, left) == []
