"""The table of notes, and one user's access to it."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, DateTime, ForeignKey, Identity, Text, delete, insert, select
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.functions import now

from engine.rows import TABLE_PREFIX, Base, Database, UserRow, holds


class NoteRow(Base):
    __tablename__ = f"{TABLE_PREFIX}notes"
    __table_args__ = (holds("notes"),)

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())


@dataclass(frozen=True)
class Note:
    id: int
    text: str


class NoteStore:
    """Reads and writes the notes of one user."""

    def __init__(self, database: Database, user_id: str) -> None:
        self._database = database
        self._user_id = user_id

    async def add(self, text: str) -> Note:
        statement = insert(NoteRow).values(user_id=self._user_id, text=text).returning(NoteRow.id)
        async with self._database.transaction(self._user_id) as connection:
            note_id: int = (await connection.execute(statement)).scalar_one()
        return Note(note_id, text)

    async def newest(self, limit: int, containing: str = "") -> list[Note]:
        """At most `limit` notes, newest first; `containing` ignores upper and lower case."""
        statement = (
            select(NoteRow.id, NoteRow.text)
            .where(NoteRow.user_id == self._user_id)
            .order_by(NoteRow.id.desc())
            .limit(limit)
        )
        if containing:
            statement = statement.where(NoteRow.text.icontains(containing, autoescape=True))
        rows = await self._database.read(self._user_id, statement)
        return [Note(row.id, row.text) for row in rows]

    async def delete(self, note_id: int) -> bool:
        """Returns False if there was no such note."""
        statement = delete(NoteRow).where(NoteRow.user_id == self._user_id, NoteRow.id == note_id)
        async with self._database.transaction(self._user_id) as connection:
            return (await connection.execute(statement)).rowcount > 0
