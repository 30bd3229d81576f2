"""The ID tokens of OpenID providers, stored as long as the session that began with them."""

from sqlalchemy import ForeignKeyConstraint, Text, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, mapped_column

from engine.auth.sessions.rows import Session, SessionRow
from engine.database.database import TABLE_PREFIX, Base, Database, holds


class IdTokenRow(Base):
    """Deleted together with its session."""

    __tablename__ = f"{TABLE_PREFIX}id_tokens"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "session_id"], [SessionRow.user_id, SessionRow.id], ondelete="CASCADE"
        ),
        holds("ID tokens", without=("session_id", "token")),
    )

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    session_id: Mapped[str] = mapped_column(Text, primary_key=True)
    token: Mapped[str] = mapped_column(Text)


class IdTokenStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, session: Session, token: str) -> None:
        row = insert(IdTokenRow).values(user_id=session.user_id, session_id=session.id, token=token)
        await self._database.write(session.user_id, row.on_conflict_do_nothing())

    async def of(self, session: Session) -> str | None:
        statement = select(IdTokenRow.token).where(
            IdTokenRow.user_id == session.user_id, IdTokenRow.session_id == session.id
        )
        rows = await self._database.read(session.user_id, statement)
        return rows[0].token if rows else None
