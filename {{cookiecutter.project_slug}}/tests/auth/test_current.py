import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from uuid import uuid4

import pytest
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse
from httpx import ASGITransport, AsyncClient
from sqlalchemy import event, func, select
from sqlalchemy.pool import QueuePool

from app.auth.base import User
from app.auth.current import CurrentUser
from app.auth.users import Users
from app.chat.models import UserRow
from app.config import Settings
from app.db import Database
from app.errors import Unauthenticated, install_error_handlers


class HeaderAuth:
    """The smallest style: it believes a header, as none of the real ones may."""

    name = "header"

    def __init__(self, settings: Settings) -> None:
        pass

    async def authenticate(self, request: Request) -> User:
        if "X-User" not in request.headers:
            raise Unauthenticated("nobody")
        return User(id=request.headers["X-User"])

    def visit(self, request: Request, response: Response) -> None:
        pass

    def sample_credentials(self, user_id: str) -> dict[str, str]:
        return {"X-User": user_id}

    async def close(self) -> None:
        pass


@pytest.fixture
async def client(database: Database) -> AsyncIterator[AsyncClient]:
    app = FastAPI()
    install_error_handlers(app)
    app.state.authenticator = HeaderAuth(Settings())
    app.state.users = Users(database)

    @app.get("/me")
    async def me(user: CurrentUser) -> str:
        return user.id

    @app.get("/connections-while-streaming")
    async def connections(user: CurrentUser) -> StreamingResponse:
        async def count() -> AsyncIterator[str]:
            assert isinstance(database.engine.pool, QueuePool)
            yield str(database.engine.pool.checkedout())

        return StreamingResponse(count())

    async with AsyncClient(transport=ASGITransport(app), base_url="http://localhost") as client:
        yield client


@pytest.fixture
def user_id() -> str:
    return f"user_{uuid4().hex}"


async def rows_of(database: Database, user_id: str) -> int:
    async with database.transaction() as connection:
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


async def test_a_user_gets_a_row_at_first_sight(
    client: AsyncClient, database: Database, user_id: str
) -> None:
    assert (await client.get("/me", headers={"X-User": user_id})).json() == user_id
    assert await rows_of(database, user_id) == 1


async def test_later_requests_cost_no_statement(
    client: AsyncClient, database: Database, user_id: str
) -> None:
    await client.get("/me", headers={"X-User": user_id})
    with recorded_statements(database) as statements:
        await client.get("/me", headers={"X-User": user_id})
    assert statements == []


async def test_first_requests_at_the_same_time_and_another_process_do_not_clash(
    client: AsyncClient, database: Database, user_id: str
) -> None:
    await Users(database).ensure(user_id)
    requests = (client.get("/me", headers={"X-User": user_id}) for _ in range(5))
    assert {response.status_code for response in await asyncio.gather(*requests)} == {200}
    assert await rows_of(database, user_id) == 1


async def test_who_is_not_signed_in_is_refused_before_the_database_is_asked(
    client: AsyncClient, database: Database
) -> None:
    with recorded_statements(database) as statements:
        response = await client.get("/me")
    assert response.status_code == 401
    assert response.json()["error"] == {"code": "unauthenticated", "message": "nobody"}
    assert statements == []


async def test_no_connection_is_held_while_an_answer_streams(
    client: AsyncClient, user_id: str
) -> None:
    response = await client.get("/connections-while-streaming", headers={"X-User": user_id})
    assert response.text == "0"


async def test_the_least_recently_seen_user_is_forgotten(database: Database, user_id: str) -> None:
    users = Users(database, remembered=2)
    for name in ("a", "b", "a", "c"):
        await users.ensure(user_id + name)
    with recorded_statements(database) as statements:
        await users.ensure(user_id + "a")
        await users.ensure(user_id + "c")
        assert statements == []
        await users.ensure(user_id + "b")
        assert len(statements) == 1


async def test_a_failed_insert_is_not_remembered(database: Database) -> None:
    users = Users(database)
    for _ in range(2):
        with pytest.raises(Exception, match="invalid byte sequence"):
            await users.ensure("nul\0")
