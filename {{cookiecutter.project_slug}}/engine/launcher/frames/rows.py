"""One-time codes that the launcher's frame exchanges for a session."""

from datetime import datetime, timedelta

from sqlalchemy import DateTime, ForeignKeyConstraint, Text, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.functions import now

from engine.auth.sessions.rows import Session, SessionRow, SessionStore, lock_user, new_session
from engine.database.database import TABLE_PREFIX, Base, Database, holds

CODE_LIFETIME = timedelta(seconds=60)


class FrameCodeRow(Base):
    """The hash of a session's newest code. It goes with the session, however that ends."""

    __tablename__ = f"{TABLE_PREFIX}frame_codes"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "session_id"], [SessionRow.user_id, SessionRow.id], ondelete="CASCADE"
        ),
        holds("frames", without=("session_id", "code")),
    )

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    session_id: Mapped[str] = mapped_column(Text, primary_key=True)
    code: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class FrameCodeStore:
    def __init__(self, database: Database, sessions: SessionStore) -> None:
        self._database = database
        self._sessions = sessions

    async def save(self, user_id: str, session_id: str, code: str) -> None:
        """Store the hash of a code; it replaces one that was not used."""
        row = insert(FrameCodeRow).values(
            user_id=user_id, session_id=session_id, code=code, created_at=now()
        )
        newest = {"code": row.excluded.code, "created_at": row.excluded.created_at}
        key = ["user_id", "session_id"]
        await self._database.write(
            user_id, row.on_conflict_do_update(index_elements=key, set_=newest)
        )

    async def exchange(
        self, user_id: str, session_id: str, code: str, new_id: str
    ) -> Session | None:
        """Begin a session with the id `new_id`; None if the code is not valid or was used.

        A transaction that ends the user's sessions waits for this one, see `lock_user`.
        """
        take = (
            delete(FrameCodeRow)
            .where(
                FrameCodeRow.user_id == user_id,
                FrameCodeRow.session_id == session_id,
                FrameCodeRow.code == code,
                FrameCodeRow.created_at > now() - CODE_LIFETIME,
            )
            .returning(FrameCodeRow.session_id)
        )
        begun = select(SessionRow.name).where(
            SessionRow.user_id == user_id,
            SessionRow.id == session_id,
            ~self._sessions.has_ended(),
        )
        async with self._database.transaction(user_id) as connection:
            await connection.execute(lock_user(user_id, shared=True))
            if (await connection.execute(take)).one_or_none() is None:
                return None
            row = (await connection.execute(begun)).one_or_none()
            if row is None:
                return None
            session = Session(user_id, new_id, row.name)
            await connection.execute(new_session(session))
        return session
