import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated
from uuid import uuid4

import pytest
from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import delete, event, func, select
from sqlalchemy.pool import QueuePool

from engine.auth.base import User, user_key
from engine.auth.current import USER_HEADER, signed_in_by
from engine.database.database import EVERYBODY, PROJECT_OWNER, Database
from engine.database.rows import UserRow
from engine.http.addresses import Addresses
from engine.http.errors import install_error_handlers
from engine.settings.settings import Settings
from engine.tests import application
from engine.tests.application import create_app
from engine.tests.auth.header import HeaderAuth
from engine.tests.fixtures import serving
from engine.tests.talk import Visitor, message


@pytest.fixture
async def client(database: Database) -> AsyncIterator[AsyncClient]:
    app = FastAPI()
    install_error_handlers(app, Addresses(Settings()))
    signed_in = signed_in_by(HeaderAuth(Settings(), database))

    @app.get("/me")
    async def me(user: Annotated[User, Depends(signed_in)]) -> str:
        return user.id

    @app.get("/connections-while-streaming")
    async def connections(user: Annotated[User, Depends(signed_in)]) -> StreamingResponse:
        async def count() -> AsyncIterator[str]:
            assert isinstance(database.engine.pool, QueuePool)
            yield str(database.engine.pool.checkedout())

        return StreamingResponse(count())

    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as client:
        yield client


@pytest.fixture
async def visitor(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Visitor]:
    """A user without a row."""
    monkeypatch.setattr(application, "sign_in", HeaderAuth)
    app = create_app(settings)
    user_id = f"user_{uuid4().hex}"
    headers = await app.state.chat.authenticator.sample_credentials(user_id)
    async with (
        serving(app) as url,
        AsyncClient(base_url=url, headers=headers, timeout=30) as client,
    ):
        yield Visitor(client, user_id)


@pytest.fixture
def user_id() -> str:
    return f"user_{uuid4().hex}"


async def rows_of(database: Database, user_id: str) -> int:
    async with database.transaction(EVERYBODY) as connection:
        query = select(func.count()).where(UserRow.id == user_id)
        return (await connection.execute(query)).scalar_one()


@contextmanager
def recorded_statements(database: Database) -> Iterator[list[str]]:
    statements: list[str] = []

    def record(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        statements.append(statement)

    event.listen(database.engine.sync_engine, "before_cursor_execute", record)
    try:
        yield statements
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", record)


async def test_authentication_sends_no_statement(
    client: AsyncClient, database: Database, user_id: str
) -> None:
    with recorded_statements(database) as statements:
        assert (await client.get("/me", headers={"X-User": user_id})).json() == user_id
    assert statements == []


async def test_the_first_stored_row_creates_the_user(database: Database, visitor: Visitor) -> None:
    await visitor.send("threads.list")
    assert await rows_of(database, visitor.user_id) == 0
    turns = await asyncio.gather(*(visitor.say("hello") for _ in range(3)))
    assert all(turn.answer for turn in turns)
    assert await rows_of(database, visitor.user_id) == 1


async def test_a_deleted_user_can_return(database: Database, visitor: Visitor) -> None:
    await visitor.say("hello")
    statement = delete(UserRow).where(UserRow.id == visitor.user_id)
    await database.write(visitor.user_id, statement)
    assert (await visitor.say("hello again")).answer


async def test_unauthenticated_requests_send_no_statement(
    client: AsyncClient, database: Database
) -> None:
    with recorded_statements(database) as statements:
        response = await client.get("/me")
    assert response.status_code == 401
    assert response.json()["error"] == {"code": "unauthenticated", "message": "nobody"}
    assert statements == []


async def test_the_project_owner_cannot_sign_in(client: AsyncClient) -> None:
    assert (await client.get("/me", headers={"X-User": PROJECT_OWNER})).status_code == 401
    assert (await client.get("/me", headers={"X-User": f"{PROJECT_OWNER}x"})).status_code == 200


async def test_a_page_of_another_user_is_refused(client: AsyncClient, user_id: str) -> None:
    key = user_key(User(user_id))
    ada = {"X-User": user_id}

    for page, status in [({}, 200), ({USER_HEADER: key}, 200), ({USER_HEADER: "f" * 16}, 409)]:
        response = await client.get("/me", headers=ada | page)
        assert response.status_code == status

    assert response.json()["error"]["code"] == "user_changed"


async def test_a_message_of_another_users_page_is_not_stored(visitor: Visitor) -> None:
    visitor.client.headers[USER_HEADER] = user_key(User("somebody else"))
    refused = await visitor.send("threads.create", input=message("whose am I?"))
    del visitor.client.headers[USER_HEADER]

    assert refused.status_code == 409
    assert (await visitor.send("threads.list")).json()["data"] == []


async def test_no_connection_is_held_while_an_answer_streams(
    client: AsyncClient, user_id: str
) -> None:
    response = await client.get("/connections-while-streaming", headers={"X-User": user_id})
    assert response.text == "0"
