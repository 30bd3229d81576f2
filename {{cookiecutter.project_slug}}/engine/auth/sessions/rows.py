"""The rows of sessions: one for each browser that is signed in."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import DateTime, Delete, ForeignKey, Select, Text, and_, delete, select, update
from sqlalchemy.dialects.postgresql import Insert, insert
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.functions import now

from engine.database.database import ASYNC_COMMIT, TABLE_PREFIX, Base, Database, holds
from engine.database.rows import UserRow
from engine.database.users import ensure_user

# `seen_at` is updated at most this often, so that most requests only read.
SEEN_EVERY = timedelta(minutes=5)


class SessionRow(Base):
    """`id` is the hash of a secret that only the browser has. `name` is the user's name for
    display, if the style knows it.
    """

    __tablename__ = f"{TABLE_PREFIX}sessions"
    __table_args__ = (holds("sessions", without=("id",), aged_by="seen_at"),)

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())
    seen_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())


@dataclass(frozen=True)
class Session:
    user_id: str
    id: str
    name: str | None


class SessionStore:
    """Sessions end `lifetime` after they began, or `idle` after they were last used.

    Times are those of the database's clock, which all workers share.
    """

    def __init__(self, database: Database, lifetime: timedelta, idle: timedelta) -> None:
        self._database = database
        self._lifetime = lifetime
        self._idle = idle

    async def begin(self, session: Session) -> None:
        """Store a session and, if missing, its user. Delete the user's expired sessions."""
        user = ensure_user(session.user_id).cte("ensured_user")
        await self._database.write(
            session.user_id,
            self.sweep(session.user_id),
            new_session(session).add_cte(user),
        )

    async def find(self, user_id: str, session_id: str) -> Session | None:
        """The session, or None if it has ended. Counts as use of the session."""
        this = _one(user_id, session_id)
        was_seen_long_ago = SessionRow.seen_at < now() - min(SEEN_EVERY, self._idle / 2)
        rows = await self._database.read(
            user_id,
            select(SessionRow.name, was_seen_long_ago.label("is_stale")).where(
                this, ~self.has_ended()
            ),
        )
        if not rows:
            return None
        if rows[0].is_stale:
            seen = update(SessionRow).where(this).values(seen_at=now()).returning(SessionRow.id)
            # A request that only reads should not wait for the disk or a standby.
            await self._database.fetch(user_id, select(seen.cte("seen").c.id, ASYNC_COMMIT))
        return Session(user_id, session_id, rows[0].name)

    async def end(self, user_id: str, session_id: str) -> None:
        await self._database.write(user_id, delete(SessionRow).where(_one(user_id, session_id)))

    def sweep(self, user_id: str) -> Delete:
        """The statement that deletes the expired sessions of this user."""
        return delete(SessionRow).where(SessionRow.user_id == user_id, self.has_ended())

    def has_ended(self) -> ColumnElement[bool]:
        """The condition of a session that no longer counts."""
        return (SessionRow.created_at < now() - self._lifetime) | (
            SessionRow.seen_at < now() - self._idle
        )


def new_session(session: Session) -> Insert:
    """The statement that stores a session. It can be repeated after a lost connection."""
    return (
        insert(SessionRow)
        .values(user_id=session.user_id, id=session.id, name=session.name)
        .on_conflict_do_nothing()
    )


def lock_user(user_id: str, *, shared: bool = False) -> Select[str]:
    """The lock to take before a statement that ends all sessions of this user; `shared` before
    one that exchanges a session for a new one.
    """
    # `key_share` still allows writing rows that refer to the user's row.
    user = select(UserRow.id).where(UserRow.id == user_id)
    return user.with_for_update(read=shared, key_share=not shared)


def end_sessions(user_id: str) -> Delete:
    """The statement that ends all sessions of this user."""
    return delete(SessionRow).where(SessionRow.user_id == user_id)


def _one(user_id: str, session_id: str) -> ColumnElement[bool]:
    return and_(SessionRow.user_id == user_id, SessionRow.id == session_id)
