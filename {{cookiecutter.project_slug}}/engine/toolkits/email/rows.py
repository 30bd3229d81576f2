"""The table of emails that the assistant drafted, with the state of each."""

from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import (
    ColumnElement,
    Date,
    DateTime,
    ForeignKey,
    ForeignKeyConstraint,
    Integer,
    Text,
    cast,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.functions import now

from engine.database.database import TABLE_PREFIX, Base, Database, holds
from engine.database.rows import ThreadRow, UserRow

# The states in which a user can send an email.
WAITING = ("draft", "failed")

TODAY = cast(func.timezone("UTC", func.now()), Date)


class EmailRow(Base):
    """`item_id` is its card in the thread; `attempts` counts the attempts to send it.

    `status` is draft, sending, sent, failed or discarded; `error` says why it failed.
    """

    __tablename__ = f"{TABLE_PREFIX}emails"
    __table_args__ = (
        ForeignKeyConstraint(
            ["user_id", "thread_id"], [ThreadRow.user_id, ThreadRow.id], ondelete="CASCADE"
        ),
        holds("emails"),
    )

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    thread_id: Mapped[str] = mapped_column(Text, primary_key=True)
    item_id: Mapped[str] = mapped_column(Text, primary_key=True)
    recipients: Mapped[list[str]] = mapped_column(JSONB)
    subject: Mapped[str] = mapped_column(Text)
    body: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text, server_default="draft")
    attempts: Mapped[int] = mapped_column(Integer, server_default="0")
    error: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())
    changed_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())


class EmailDayRow(Base):
    """The number of emails that a user has sent on a day (UTC).

    The row remains when the threads of these emails are deleted, so that the limit still holds.
    """

    __tablename__ = f"{TABLE_PREFIX}email_days"
    __table_args__ = (holds("emails sent", aged_by="day"),)

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    sent: Mapped[int] = mapped_column(Integer)


class DailyLimitReached(Exception):
    """The user may send no more emails today."""


@dataclass(frozen=True)
class Email:
    thread_id: str
    item_id: str
    recipients: list[str]
    subject: str
    body: str
    status: str = "draft"
    attempts: int = 0
    error: str | None = None


class EmailStore:
    """Reads and writes the emails of one user."""

    def __init__(self, database: Database, user_id: str) -> None:
        self._database = database
        self._user_id = user_id

    async def add(self, email: Email) -> None:
        row = insert(EmailRow).values(
            user_id=self._user_id,
            thread_id=email.thread_id,
            item_id=email.item_id,
            recipients=email.recipients,
            subject=email.subject,
            body=email.body,
        )
        await self._database.write(self._user_id, row.on_conflict_do_nothing())

    async def find(self, thread_id: str, item_id: str) -> Email | None:
        statement = select(EmailRow.__table__).where(*self._is(thread_id, item_id))
        for row in await self._database.read(self._user_id, statement):
            return Email(
                row.thread_id,
                row.item_id,
                row.recipients,
                row.subject,
                row.body,
                row.status,
                row.attempts,
                row.error,
            )
        return None

    async def claim(self, email: Email, per_day: int) -> bool:
        """Reserve the email for sending. Returns False if another request reserved it first.

        It counts towards `per_day` (0 is no limit) until `finish` reports that it was not sent.
        Raises `DailyLimitReached`.
        """
        statement = (
            update(EmailRow)
            .where(*self._is_unchanged(email))
            .values(status="sending", attempts=EmailRow.attempts + 1, changed_at=func.now())
        )
        # Not retried: after a lost response, a retry would find the email claimed by itself.
        async with self._database.transaction(self._user_id) as connection:
            if (await connection.execute(statement)).rowcount == 0:
                return False
            if (await connection.execute(self._count_one(per_day))).rowcount == 0:
                raise DailyLimitReached
        return True

    async def sent_today(self) -> int:
        statement = select(EmailDayRow.sent).where(
            EmailDayRow.user_id == self._user_id, EmailDayRow.day == TODAY
        )
        rows = await self._database.read(self._user_id, statement)
        return rows[0].sent if rows else 0

    def _count_one(self, per_day: int) -> Insert:
        """The statement that adds one to the count; it changes no row if the limit is reached."""
        row = insert(EmailDayRow).values(user_id=self._user_id, day=TODAY, sent=1)
        return row.on_conflict_do_update(
            index_elements=[EmailDayRow.user_id, EmailDayRow.day],
            set_={"sent": EmailDayRow.sent + 1},
            where=(EmailDayRow.sent < per_day) if per_day else None,
        )

    async def discard(self, email: Email) -> None:
        statement = (
            update(EmailRow)
            .where(*self._is_unchanged(email))
            .values(status="discarded", error=None, changed_at=func.now())
        )
        await self._database.write(self._user_id, statement)

    async def finish(self, email: Email, error: str | None, *, maybe_sent: bool = True) -> None:
        """Store the result of sending an email that `claim` reserved."""
        finished = (
            update(EmailRow)
            .where(
                *self._is(email.thread_id, email.item_id),
                EmailRow.status == "sending",
                EmailRow.attempts == email.attempts + 1,
            )
            .values(status="failed" if error else "sent", error=error, changed_at=func.now())
            .returning(EmailRow.item_id)
            .cte("finished")
        )
        statement = select(finished.c.item_id)
        if not maybe_sent:
            uncounted = (
                update(EmailDayRow)
                .where(
                    EmailDayRow.user_id == self._user_id,
                    EmailDayRow.day == TODAY,
                    EmailDayRow.sent > 0,
                    select(finished.c.item_id).exists(),
                )
                .values(sent=EmailDayRow.sent - 1)
            )
            statement = statement.add_cte(uncounted.cte("uncounted"))
        await self._database.fetch(self._user_id, statement, retry=True)

    async def fail_stale(self, email: Email, seconds: float, error: str) -> None:
        """Mark the email as failed if it has been in state `sending` for more than `seconds`."""
        long_ago = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, seconds)
        statement = (
            update(EmailRow)
            .where(
                *self._is(email.thread_id, email.item_id),
                EmailRow.status == "sending",
                EmailRow.changed_at < long_ago,
            )
            .values(status="failed", error=error, changed_at=func.now())
        )
        await self._database.write(self._user_id, statement)

    def _is(self, thread_id: str, item_id: str) -> tuple[ColumnElement[bool], ...]:
        return (
            EmailRow.user_id == self._user_id,
            EmailRow.thread_id == thread_id,
            EmailRow.item_id == item_id,
        )

    def _is_unchanged(self, email: Email) -> tuple[ColumnElement[bool], ...]:
        """It can be sent, and there was no attempt since the user's card was drawn."""
        return (
            *self._is(email.thread_id, email.item_id),
            EmailRow.status.in_(WAITING),
            EmailRow.attempts == email.attempts,
        )
