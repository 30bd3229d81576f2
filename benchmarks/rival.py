"""The rival: the server of the specification's sketch, with minimal changes to run today.

Unchanged: a database session for each request as a dependency, held until the last byte is sent; the
user as a row, loaded with the same session; a store and a server for each request;
`server.process()`; SQLAlchemy's ORM with the sketch's models, columns and keys.

Changed for the current SDK: all methods of `Store`, results as bytes. Changed to make it faster: an
index on `thread_items.thread_id` (without it, the sketch reads the whole table), keyset pagination, a
shared type adapter for items, no `expire_on_commit`, a pool of the project's size. Its tables are in a
separate schema in the same database, with the same rows.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from os import environ
from typing import Annotated, Any

from chatkit.server import ChatKitServer, StreamingResult
from chatkit.store import NotFoundError, Store
from chatkit.types import (
    AssistantMessageContent,
    AssistantMessageItem,
    Attachment,
    Page,
    ThreadItem,
    ThreadItemDoneEvent,
    ThreadMetadata,
    ThreadStreamEvent,
    UserMessageItem,
)
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import StreamingResponse
from itsdangerous import BadSignature, TimestampSigner
from pydantic import TypeAdapter
from sqlalchemy import JSON, ForeignKey, MetaData, String, Text, delete, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

SCHEMA = "sketch"
COOKIE = "user"

Context = dict[str, Any]
_ITEM: TypeAdapter[ThreadItem] = TypeAdapter(ThreadItem)


class Base(DeclarativeBase):
    metadata = MetaData(schema=SCHEMA)


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(255))


class ChatKitThread(Base):
    __tablename__ = "chatkit_threads"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey(User.id), index=True)
    title: Mapped[str | None] = mapped_column(String(255))
    created_at: Mapped[datetime] = mapped_column(default=datetime.now)
    updated_at: Mapped[datetime] = mapped_column(default=datetime.now, onupdate=datetime.now)
    thread_metadata: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)


class ChatKitThreadItem(Base):
    __tablename__ = "chatkit_thread_items"

    id: Mapped[str] = mapped_column(String(100), primary_key=True)
    thread_id: Mapped[str] = mapped_column(
        ForeignKey(ChatKitThread.id, ondelete="CASCADE"), index=True
    )
    item_type: Mapped[str] = mapped_column(String(50))
    content: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(default=datetime.now)


class PostgreSQLChatKitStore(Store[Context]):
    def __init__(self, db: AsyncSession, user_id: int) -> None:
        self.db = db
        self.user_id = user_id

    async def load_thread(self, thread_id: str, context: Context) -> ThreadMetadata:
        return _metadata(await self._thread(thread_id))

    async def save_thread(self, thread: ThreadMetadata, context: Context) -> None:
        row = await self.db.get(ChatKitThread, thread.id)
        if row is None:
            row = ChatKitThread(id=thread.id, user_id=self.user_id, created_at=thread.created_at)
            self.db.add(row)
        row.title = thread.title
        row.thread_metadata = thread.metadata
        await self.db.commit()

    async def load_threads(
        self, limit: int, after: str | None, order: str, context: Context
    ) -> Page[ThreadMetadata]:
        query = select(ChatKitThread).where(ChatKitThread.user_id == self.user_id)
        column = ChatKitThread.created_at
        if after is not None:
            place = (await self._thread(after)).created_at
            query = query.where(column < place if order == "desc" else column > place)
        query = query.order_by(column.desc() if order == "desc" else column).limit(limit + 1)
        rows = list((await self.db.execute(query)).scalars())
        has_more = len(rows) > limit
        data = [_metadata(row) for row in rows[:limit]]
        return Page(data=data, has_more=has_more, after=data[-1].id if has_more else None)

    async def delete_thread(self, thread_id: str, context: Context) -> None:
        await self.db.delete(await self._thread(thread_id))
        await self.db.commit()

    async def load_thread_items(
        self, thread_id: str, after: str | None, limit: int, order: str, context: Context
    ) -> Page[ThreadItem]:
        query = (
            select(ChatKitThreadItem)
            .join(ChatKitThread, ChatKitThread.id == ChatKitThreadItem.thread_id)
            .where(ChatKitThread.id == thread_id, ChatKitThread.user_id == self.user_id)
        )
        column = ChatKitThreadItem.created_at
        if after is not None:
            place = (await self._item(thread_id, after)).created_at
            query = query.where(column < place if order == "desc" else column > place)
        query = query.order_by(column.desc() if order == "desc" else column).limit(limit + 1)
        rows = list((await self.db.execute(query)).scalars())
        has_more = len(rows) > limit
        data = [_ITEM.validate_json(row.content) for row in rows[:limit]]
        return Page(data=data, has_more=has_more, after=data[-1].id if has_more else None)

    async def add_thread_item(self, thread_id: str, item: ThreadItem, context: Context) -> None:
        await self.save_item(thread_id, item, context)

    async def save_item(self, thread_id: str, item: ThreadItem, context: Context) -> None:
        row = ChatKitThreadItem(
            id=item.id,
            thread_id=thread_id,
            item_type=item.type,
            content=item.model_dump_json(),
            created_at=item.created_at,
        )
        await self.db.merge(row)
        await self.db.commit()

    async def load_item(self, thread_id: str, item_id: str, context: Context) -> ThreadItem:
        item: ThreadItem = _ITEM.validate_json((await self._item(thread_id, item_id)).content)
        return item

    async def delete_thread_item(self, thread_id: str, item_id: str, context: Context) -> None:
        await self._thread(thread_id)
        await self.db.execute(delete(ChatKitThreadItem).where(ChatKitThreadItem.id == item_id))
        await self.db.commit()

    async def save_attachment(self, attachment: Attachment, context: Context) -> None:
        raise NotImplementedError

    async def load_attachment(self, attachment_id: str, context: Context) -> Attachment:
        raise NotImplementedError

    async def delete_attachment(self, attachment_id: str, context: Context) -> None:
        raise NotImplementedError

    async def _thread(self, thread_id: str) -> ChatKitThread:
        result = await self.db.execute(
            select(ChatKitThread).where(
                ChatKitThread.id == thread_id, ChatKitThread.user_id == self.user_id
            )
        )
        if (row := result.scalar_one_or_none()) is None:
            raise NotFoundError(thread_id)
        return row

    async def _item(self, thread_id: str, item_id: str) -> ChatKitThreadItem:
        result = await self.db.execute(
            select(ChatKitThreadItem).where(
                ChatKitThreadItem.id == item_id, ChatKitThreadItem.thread_id == thread_id
            )
        )
        if (row := result.scalar_one_or_none()) is None:
            raise NotFoundError(item_id)
        return row


def _metadata(row: ChatKitThread) -> ThreadMetadata:
    return ThreadMetadata(
        id=row.id, title=row.title, created_at=row.created_at, metadata=row.thread_metadata
    )


class MyChatKitServer(ChatKitServer[Context]):
    async def respond(
        self, thread: ThreadMetadata, input_user_message: UserMessageItem | None, context: Context
    ) -> AsyncIterator[ThreadStreamEvent]:
        # The benchmark requests only pages; this answer is for manual tests.
        yield ThreadItemDoneEvent(
            item=AssistantMessageItem(
                id=self.store.generate_item_id("message", thread, context),
                thread_id=thread.id,
                created_at=datetime.now(),  # noqa: DTZ005 — the SDK's datetimes are naive
                content=[AssistantMessageContent(text="Hello.")],
            )
        )


def create_app() -> FastAPI:
    engine = create_async_engine(
        environ["DATABASE_URL"], pool_size=int(environ["DATABASE_POOL_SIZE"]), max_overflow=0
    )
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    signer = user_signer(environ["SECRET_KEY"])

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await engine.dispose()

    app = FastAPI(lifespan=lifespan)

    async def get_db() -> AsyncIterator[AsyncSession]:
        async with sessions() as session:
            yield session

    Db = Annotated[AsyncSession, Depends(get_db)]

    async def get_current_user(request: Request, db: Db) -> User:
        try:
            user_id = int(signer.unsign(request.cookies.get(COOKIE, "")))
        except BadSignature:
            raise HTTPException(401) from None
        if (user := await db.get(User, user_id)) is None:
            raise HTTPException(401)
        return user

    @app.get("/readyz")
    async def ready(db: Db) -> dict[str, str]:
        await db.execute(select(User.id).limit(1))
        return {"status": "ready"}

    @app.post("/chatkit")
    async def chatkit(
        request: Request, user: Annotated[User, Depends(get_current_user)], db: Db
    ) -> Response:
        body = await request.body()
        server = MyChatKitServer(PostgreSQLChatKitStore(db, user.id))
        context = {"headers": dict(request.headers), "user_id": user.id, "db_session": db}
        result = await server.process(body, context)
        if isinstance(result, StreamingResult):
            return StreamingResponse(result, media_type="text/event-stream")
        return Response(result.json, media_type="application/json")

    return app


def user_signer(key: str) -> TimestampSigner:
    return TimestampSigner(key, salt="user")
