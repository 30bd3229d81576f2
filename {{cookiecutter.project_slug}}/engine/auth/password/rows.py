"""The rows of accounts and of attempts to sign in.

A user's id is derived from the account's name. So the name leads to the owner of the row, and two
users cannot have the same name, without an index across the rows of all owners.
"""

import hashlib
import re
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
from engine.database.database import EVERYBODY, TABLE_PREFIX, Base, Database, holds
from engine.database.rows import UserRow
from engine.database.run_commands import stop_runs
from engine.database.users import ensure_user


class AccountRow(Base):
    __tablename__ = f"{TABLE_PREFIX}accounts"
    __table_args__ = (holds("account", without=("password_hash",)),)

    user_id: Mapped[str] = mapped_column(
        ForeignKey(UserRow.id, ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(Text)
    password_hash: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=now())
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class AttemptRow(Base):
    """`user_id` is the account, which need not exist, or the address whose attempts are counted.

    No attempts are counted any more at `forgotten_at`; each attempt moves it later.
    """

    __tablename__ = f"{TABLE_PREFIX}sign_in_attempts"
    __table_args__ = (holds("attempts to sign in"),)

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


def is_user_id(text: str) -> bool:
    """True for what `user_id_of` returns, which is longer than most names."""
    return re.fullmatch("user_[0-9a-f]{40}", text) is not None


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
        """Create the account and begin the session; False if the account or its user exists, or
        the user was erased.

        A new account thus never gets rows that were written while a user was being deleted.
        """
        user_id = user_id_of(name)
        account = insert(AccountRow).values(user_id=user_id, name=name, password_hash=password_hash)
        async with self._database.transaction(user_id) as connection:
            if (await connection.execute(ensure_user(user_id))).rowcount == 0:
                return False
            await connection.execute(account)
            if session is not None:
                await connection.execute(new_session(session))
        return True

    async def sign_in(self, account: Account, session: Session) -> bool:
        """Begin the session; False if the account has changed since it was loaded.

        A transaction that changes or disables the account waits for the lock, and then ends this
        session too.
        """
        async with self._database.transaction(account.user_id) as connection:
            if await connection.scalar(_unchanged(account).with_for_update(read=True)) is None:
                return False
            await connection.execute(new_session(session))
        return True

    async def change_password(
        self, account: Account, password_hash: str, session: Session | None
    ) -> bool:
        """Replace the hash, end all sessions and begin the given one; False if the account has
        changed since it was loaded.
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
            await _end_sessions_and_runs(connection, account.user_id)
            if session is not None:
                await connection.execute(new_session(session))
        return True

    async def reset(self, user_id: str, password_hash: str) -> bool:
        """Replace the hash and end all sessions; False if there is no such account."""
        change = (
            update(AccountRow)
            .where(AccountRow.user_id == user_id)
            .values(password_hash=password_hash)
        )
        async with self._database.transaction(user_id) as connection:
            exists = (await connection.execute(change)).rowcount > 0
            await _end_sessions_and_runs(connection, user_id)
            await connection.execute(delete(AttemptRow).where(AttemptRow.user_id == user_id))
        return exists

    async def rehash(self, account: Account, password_hash: str) -> None:
        """Replace the hash by one of the same password with the current parameters."""
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
        """End all sessions and allow no new ones; False if there is no such account."""
        query = select(AccountRow.user_id).where(AccountRow.user_id == user_id)
        change = (
            update(AccountRow)
            .where(AccountRow.user_id == user_id, AccountRow.disabled_at.is_(None))
            .values(disabled_at=now())
        )
        async with self._database.transaction(user_id) as connection:
            exists = (await connection.execute(query.with_for_update())).first() is not None
            await connection.execute(change)
            await _end_sessions_and_runs(connection, user_id)
        return exists

    async def enable(self, user_id: str) -> bool:
        change = update(AccountRow).where(AccountRow.user_id == user_id).values(disabled_at=None)
        async with self._database.transaction(user_id) as connection:
            return (await connection.execute(change)).rowcount > 0

    async def delete(self, user_id: str) -> bool:
        """Delete the user with all rows; False if there is no such user."""
        async with self._database.transaction(user_id) as connection:
            await connection.execute(delete(AttemptRow).where(AttemptRow.user_id == user_id))
            await stop_runs(connection, user_id)
            deleted = await connection.execute(delete(UserRow).where(UserRow.id == user_id))
        return deleted.rowcount > 0


class AttemptStore:
    """A rate limit across all workers: `burst` attempts at once, then one per `pause`.

    A row stores only the time when the whole burst is available again.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, user_or_address: str, burst: int, pause: timedelta) -> timedelta | None:
        """Count one attempt. Returns None if it is allowed, else the time to wait."""
        first = postgresql.insert(AttemptRow).values(user_id=user_or_address, forgotten_at=now())
        # An upsert, so that the row exists and is locked until the attempt is counted.
        locked = first.on_conflict_do_update(
            index_elements=[AttemptRow.user_id], set_={"forgotten_at": AttemptRow.forgotten_at}
        ).returning(AttemptRow.forgotten_at)
        async with self._database.transaction(user_or_address) as connection:
            forgotten_at: datetime = (await connection.execute(locked)).scalar_one()
            time: datetime = (await connection.execute(select(now()))).scalar_one()
            wait = forgotten_at - time - pause * (burst - 1)
            if wait > timedelta():
                return wait
            later = max(forgotten_at, time) + pause
            await connection.execute(_set_forgotten_at(user_or_address, later))
        return None

    async def refund(self, user_or_address: str, pause: timedelta) -> None:
        """Give back an attempt that was successful."""
        locked = select(AttemptRow.forgotten_at).where(AttemptRow.user_id == user_or_address)
        async with self._database.transaction(user_or_address) as connection:
            row = (await connection.execute(locked.with_for_update())).first()
            if row is not None:
                earlier = row.forgotten_at - pause
                await connection.execute(_set_forgotten_at(user_or_address, earlier))

    async def forget(self, user_or_address: str) -> None:
        attempts = delete(AttemptRow).where(AttemptRow.user_id == user_or_address)
        await self._database.fetch(user_or_address, attempts)

    async def sweep(self) -> None:
        """Delete all rows that limit nothing any more."""
        old = delete(AttemptRow).where(AttemptRow.forgotten_at < now())
        await self._database.fetch(EVERYBODY, old)


async def _end_sessions_and_runs(connection: AsyncConnection, user_id: str) -> None:
    """End all sessions, with all that they gave out, and stop all running answers."""
    await connection.execute(lock_user(user_id))
    await connection.execute(end_sessions(user_id))
    await stop_runs(connection, user_id)


def _unchanged(account: Account) -> Select[str]:
    return select(AccountRow.user_id).where(
        AccountRow.user_id == account.user_id,
        AccountRow.password_hash == account.password_hash,
        AccountRow.disabled_at.is_(None),
    )


def _set_forgotten_at(user_or_address: str, time: datetime) -> Update:
    # The time is a parameter, because Citus refuses sums of a timestamp and an interval in writes.
    return update(AttemptRow).where(AttemptRow.user_id == user_or_address).values(forgotten_at=time)
