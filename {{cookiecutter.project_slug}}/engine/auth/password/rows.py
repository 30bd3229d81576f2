"""Accounts: names with a password, and how often signing in was tried.

A user's id is derived from the account's name. So the name alone leads to the one owner whose
row it can be, and two users cannot have it: no index has to span the rows of all owners.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import (
    DateTime,
    ForeignKey,
    Select,
    Text,
    Update,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import Mapped, mapped_column
from sqlalchemy.sql.functions import now

from engine.auth.sessions.rows import Session, end_sessions, lock_user, new_session
from engine.database.database import EVERYBODY, TABLE_PREFIX, Base, Database
from engine.database.rows import UserRow
from engine.database.run_commands import stop_runs


class AccountRow(Base):
    __tablename__ = f"{TABLE_PREFIX}accounts"

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class AttemptRow(Base):
    """`user_id` is whose attempts are counted: an account's, there or not, or an address's.

    All of them are forgotten at `forgotten_at`, which each one puts off.
    """

    __tablename__ = f"{TABLE_PREFIX}sign_in_attempts"

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    forgotten_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))


@dataclass(frozen=True)
class Account:
    user_id: str
    name: str
    password_hash: str
    created_at: datetime
    disabled_at: datetime | None


def user_id_of(name: str) -> str:
    return f"user_{hashlib.sha256(name.encode()).hexdigest()[:40]}"


class AccountStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def database(self) -> Database:
        return self._database

    async def find(self, user_id: str) -> Account | None:
        query = select(*AccountRow.__table__.columns).where(AccountRow.user_id == user_id)
        rows = await self._database.read(user_id, query)
        return Account(**rows[0]._mapping) if rows else None

    async def all(self) -> Sequence[Account]:
        """Every account, by name. For the operator."""
        query = select(*AccountRow.__table__.columns).order_by(AccountRow.name)
        rows = await self._database.read(EVERYBODY, query)
        return [Account(**row._mapping) for row in rows]

    async def add(self, name: str, password_hash: str, session: Session | None = None) -> bool:
        """Make the account and sign it in; False when there is one, or a user whose it was.

        Rows that were written while a user was being deleted are thus nobody's inheritance.
        """
        user_id = user_id_of(name)
        user = postgresql.insert(UserRow).values(id=user_id).on_conflict_do_nothing()
        account = insert(AccountRow).values(user_id=user_id, name=name, password_hash=password_hash)
        async with self._database.transaction(user_id) as connection:
            if (await connection.execute(user)).rowcount == 0:
                return False
            await connection.execute(account)
            if session is not None:
                await connection.execute(new_session(session))
        return True

    async def sign_in(self, account: Account, session: Session) -> bool:
        """Begin the session; False when the account has changed since it was looked at.

        The lock has whoever changes or disables it wait, and then end this session too.
        """
        async with self._database.transaction(account.user_id) as connection:
            if await connection.scalar(_unchanged(account).with_for_update(read=True)) is None:
                return False
            await connection.execute(new_session(session))
        return True

    async def change_password(
        self, account: Account, password_hash: str, session: Session | None
    ) -> bool:
        """Replace the hash and end all sessions but the given one, which begins; False when the
        account has changed since it was looked at.
        """
        change = (
            update(AccountRow)
            .where(AccountRow.user_id == account.user_id)
            .values(password_hash=password_hash)
        )
        async with self._database.transaction(account.user_id) as connection:
            if await connection.scalar(_unchanged(account).with_for_update()) is None:
                return False
            await connection.execute(change)
            await _end_everything(connection, account.user_id)
            if session is not None:
                await connection.execute(new_session(session))
        return True

    async def reset(self, user_id: str, password_hash: str) -> bool:
        """Another password, whatever it was, and no session; False when there is no account."""
        change = (
            update(AccountRow)
            .where(AccountRow.user_id == user_id)
            .values(password_hash=password_hash)
        )
        async with self._database.transaction(user_id) as connection:
            is_there = (await connection.execute(change)).rowcount > 0
            await _end_everything(connection, user_id)
            await connection.execute(delete(AttemptRow).where(AttemptRow.user_id == user_id))
        return is_there

    async def rehash(self, account: Account, password_hash: str) -> None:
        """The same password, hashed as is thought right today."""
        await self._database.write(
            account.user_id,
            update(AccountRow)
            .where(
                AccountRow.user_id == account.user_id,
                AccountRow.password_hash == account.password_hash,
            )
            .values(password_hash=password_hash),
        )

    async def disable(self, user_id: str) -> bool:
        """End all sessions and let none begin; False when there is no such account."""
        query = select(AccountRow.user_id).where(AccountRow.user_id == user_id)
        change = (
            update(AccountRow)
            .where(AccountRow.user_id == user_id, AccountRow.disabled_at.is_(None))
            .values(disabled_at=now())
        )
        async with self._database.transaction(user_id) as connection:
            is_there = (await connection.execute(query.with_for_update())).first() is not None
            await connection.execute(change)
            await _end_everything(connection, user_id)
        return is_there

    async def enable(self, user_id: str) -> bool:
        change = update(AccountRow).where(AccountRow.user_id == user_id).values(disabled_at=None)
        async with self._database.transaction(user_id) as connection:
            return (await connection.execute(change)).rowcount > 0

    async def delete(self, user_id: str) -> bool:
        """The user and all that is theirs; False when there is none."""
        async with self._database.transaction(user_id) as connection:
            await connection.execute(delete(AttemptRow).where(AttemptRow.user_id == user_id))
            await stop_runs(connection, user_id)
            gone = await connection.execute(delete(UserRow).where(UserRow.id == user_id))
        return gone.rowcount > 0


class AttemptStore:
    """Attempts, `burst` of them at once and then one each `pause`, for all workers together.

    What has been used of a burst is a moment in time: the one when all of it is there again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, whose: str, burst: int, pause: timedelta) -> timedelta | None:
        """Count one attempt. None if it may go ahead, else how long to wait."""
        first = postgresql.insert(AttemptRow).values(user_id=whose, forgotten_at=now())
        # The row is there afterwards, and locked until the attempt has been counted.
        locked = first.on_conflict_do_update(
            index_elements=[AttemptRow.user_id], set_={"forgotten_at": AttemptRow.forgotten_at}
        ).returning(AttemptRow.forgotten_at)
        async with self._database.transaction(whose) as connection:
            forgotten_at: datetime = (await connection.execute(locked)).scalar_one()
            this_moment: datetime = (await connection.execute(select(now()))).scalar_one()
            wait = forgotten_at - this_moment - pause * (burst - 1)
            if wait > timedelta():
                return wait
            await connection.execute(_put_off(whose, max(forgotten_at, this_moment) + pause))
        return None

    async def give_back(self, whose: str, pause: timedelta) -> None:
        """An attempt that was none after all."""
        locked = select(AttemptRow.forgotten_at).where(AttemptRow.user_id == whose)
        async with self._database.transaction(whose) as connection:
            row = (await connection.execute(locked.with_for_update())).first()
            if row is not None:
                await connection.execute(_put_off(whose, row.forgotten_at - pause))

    async def forget(self, whose: str) -> None:
        await self._database.fetch(whose, delete(AttemptRow).where(AttemptRow.user_id == whose))

    async def sweep(self) -> None:
        """Delete what counts no more, of everybody."""
        gone = delete(AttemptRow).where(AttemptRow.forgotten_at < now())
        await self._database.fetch(EVERYBODY, gone)


async def _end_everything(connection: AsyncConnection, user_id: str) -> None:
    """What an old password, or an account as it was, has begun: sessions, with what they gave out,
    and answers that are being written.
    """
    await connection.execute(lock_user(user_id))
    await connection.execute(end_sessions(user_id))
    await stop_runs(connection, user_id)


def _unchanged(account: Account) -> Select[str]:
    return select(AccountRow.user_id).where(
        AccountRow.user_id == account.user_id,
        AccountRow.password_hash == account.password_hash,
        AccountRow.disabled_at.is_(None),
    )


def _put_off(whose: str, moment: datetime) -> Update:
    # (A moment plus an interval depends on the time zone: Citus has no such sums in what it writes.)
    return update(AttemptRow).where(AttemptRow.user_id == whose).values(forgotten_at=moment)
