"""Accounts below the HTTP layer: stored hashes, races during a sign-in, and rate limits."""

import secrets
from datetime import timedelta

import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy import event, select, text

from engine.auth.password.accounts import (
    Accounts,
    AccountSettings,
    WrongCredentials,
    normalized_name,
)
from engine.auth.password.rows import AccountStore, AttemptRow, AttemptStore, user_id_of
from engine.auth.sessions.rows import Session, SessionRow
from engine.auth.sessions.sessions import Ticket
from engine.database.database import TABLE_PREFIX, Database
from engine.tests.auth.password.test_password import OTHER, PASSWORD, WRONG, new_address, new_name


@pytest.fixture
def accounts(database: Database) -> Accounts:
    return Accounts(database, AccountSettings(sign_up="open"))


@pytest.fixture
def store(database: Database) -> AccountStore:
    return AccountStore(database)


@pytest.fixture
def attempts(database: Database) -> AttemptStore:
    return AttemptStore(database)


@pytest.fixture
async def name(accounts: Accounts) -> str:
    name = new_name()
    await accounts.sign_up(name, PASSWORD, new_address())
    return name


async def sessions_of(database: Database, user_id: str) -> int:
    query = select(SessionRow.id).where(SessionRow.user_id == user_id)
    return len(await database.fetch(user_id, query))


async def test_the_password_is_stored_as_an_argon2_hash(store: AccountStore, name: str) -> None:
    account = await store.find(user_id_of(name))
    assert account is not None
    assert account.password_hash.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
    assert PASSWORD not in repr(account)
    assert name not in account.user_id


async def test_an_outdated_hash_is_renewed_at_the_next_sign_in(
    accounts: Accounts, store: AccountStore
) -> None:
    name = new_name()
    weak = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=1024),)).hash(PASSWORD)
    assert await store.add(name, weak)
    with pytest.raises(WrongCredentials):
        await accounts.sign_in(name, WRONG, new_address())
    for _ in range(2):
        await accounts.sign_in(name, PASSWORD, new_address())
    account = await store.find(user_id_of(name))
    assert account is not None
    assert "m=65536" in account.password_hash


@pytest.mark.parametrize("change", ["disable", "password"])
async def test_sign_in_fails_if_the_account_changes_meanwhile(
    store: AccountStore, database: Database, name: str, change: str
) -> None:
    user_id = user_id_of(name)
    looked_at = await store.find(user_id)
    assert looked_at is not None
    if change == "disable":
        await store.disable(user_id)
    else:
        await store.change_password(looked_at, "another hash", None)
    session = Session(user_id, Ticket.new(user_id).session_id, name)
    assert not await store.sign_in(looked_at, session)
    assert not await store.change_password(looked_at, "a third hash", session)
    assert await sessions_of(database, user_id) == 0


async def test_sign_in_fails_if_the_account_is_deleted_meanwhile(
    accounts: Accounts, store: AccountStore, name: str
) -> None:
    user_id = user_id_of(name)
    looked_at = await store.find(user_id)
    assert looked_at is not None
    assert await store.delete(user_id)
    assert not await store.sign_in(looked_at, Session(user_id, "id", name))
    assert not await store.change_password(looked_at, "hash", None)
    await store.rehash(looked_at, "hash")
    with pytest.raises(WrongCredentials):
        await accounts.change_password(user_id, PASSWORD, OTHER)
    assert not await store.delete(user_id)
    assert not await store.disable(user_id)
    assert not await store.enable(user_id)


class TestAttempts:
    PAUSE = timedelta(minutes=1)

    @pytest.fixture
    def whose(self) -> str:
        return f"test-{secrets.token_hex(8)}"

    async def test_a_burst_is_allowed_and_then_one_attempt_per_pause(
        self, attempts: AttemptStore, database: Database, whose: str
    ) -> None:
        for _ in range(3):
            assert await attempts.take(whose, 3, self.PAUSE) is None
        wait = await attempts.take(whose, 3, self.PAUSE)
        assert wait is not None
        assert timedelta(seconds=50) < wait <= self.PAUSE
        # A refused attempt does not extend the wait.
        again = await attempts.take(whose, 3, self.PAUSE)
        assert again is not None
        assert again <= wait
        await self._let_pass(database, whose, self.PAUSE)
        assert await attempts.take(whose, 3, self.PAUSE) is None
        assert await attempts.take(whose, 3, self.PAUSE) is not None
        await self._let_pass(database, whose, 10 * self.PAUSE)
        for _ in range(3):
            assert await attempts.take(whose, 3, self.PAUSE) is None
        assert await attempts.take(whose, 3, self.PAUSE) is not None

    async def test_a_refund_allows_another_attempt(
        self, attempts: AttemptStore, whose: str
    ) -> None:
        for _ in range(5):
            assert await attempts.take(whose, 2, self.PAUSE) is None
            await attempts.refund(whose, self.PAUSE)

    async def test_a_sweep_deletes_expired_attempts(
        self, attempts: AttemptStore, database: Database, whose: str
    ) -> None:
        await attempts.take(whose, 3, self.PAUSE)
        await attempts.take(f"{whose}-old", 3, self.PAUSE)
        await self._let_pass(database, f"{whose}-old", 2 * self.PAUSE)
        await attempts.sweep()
        kept = select(AttemptRow.user_id).where(AttemptRow.user_id.startswith(whose))
        assert [row.user_id for row in await database.fetch(whose, kept)] == [whose]

    async def test_sign_ins_sweep_expired_attempts(
        self, accounts: Accounts, attempts: AttemptStore, database: Database, whose: str
    ) -> None:
        await attempts.take(whose, 3, self.PAUSE)
        await self._let_pass(database, whose, 2 * self.PAUSE)
        with pytest.raises(WrongCredentials):
            await accounts.sign_in(new_name(), WRONG, new_address())
        kept = select(AttemptRow.user_id).where(AttemptRow.user_id == whose)
        assert await database.fetch(whose, kept) == []

    async def _let_pass(self, database: Database, whose: str, time: timedelta) -> None:
        # As text, because the checks of Citus's rules are for statements of the application only.
        statement = text(
            f"UPDATE {AttemptRow.__tablename__} "  # noqa: S608 — the name is ours
            "SET forgotten_at = forgotten_at - CAST(:time AS interval) WHERE user_id = :whose"
        )
        await database.write(whose, statement.bindparams(time=time, whose=whose))


async def test_every_statement_names_one_owner(database: Database, store: AccountStore) -> None:
    """The owner is the account's user, derived from the name, or the address."""
    seen: list[tuple[str, tuple[object, ...]]] = []

    def record(_c: object, _cu: object, statement: str, parameters: object, *_: object) -> None:
        assert isinstance(parameters, tuple)
        if TABLE_PREFIX in statement and "sign_in_attempts.forgotten_at < now()" not in statement:
            seen.append((statement, parameters))

    name, address = new_name(), new_address()
    owners = {user_id_of(name), address}
    event.listen(database.engine.sync_engine, "before_cursor_execute", record)
    try:
        accounts = Accounts(database, AccountSettings(sign_up="open"))
        await accounts.sign_up(name, PASSWORD, address)
        await accounts.sign_in(name, PASSWORD, address)
        await accounts.change_password(user_id_of(name), PASSWORD, OTHER)
        await store.disable(user_id_of(name))
        await store.enable(user_id_of(name))
        await store.delete(user_id_of(name))
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", record)
    assert len(seen) > 10
    for statement, parameters in seen:
        assert len(owners & {str(parameter) for parameter in parameters}) == 1, statement


@pytest.mark.parametrize("spelling", ["Ada", " ada ", "ＡＤＡ", "ａda"])
def test_a_name_has_one_spelling(spelling: str) -> None:
    assert normalized_name(spelling) == "ada"
