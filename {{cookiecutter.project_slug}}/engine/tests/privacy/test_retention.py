"""Old data are deleted in small steps, by one of all workers, and new ones are not."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import delete, func, insert, select, update

from engine.database.database import EVERYBODY, Database
from engine.database.rows import (
    ItemRow,
    RunRow,
    SweepRow,
    ThreadRow,
    TokenDayRow,
    UsageRow,
    UserRow,
)
from engine.database.users import ensure_user
from engine.operate.commands.migrate import upgrade
from engine.operate.privacy import retention
from engine.operate.privacy.retention import Retention, Sweeper
from engine.settings.settings import Settings
from engine.tests.chat.test_clock import MonthAhead
from engine.tests.fixtures import CreateApp, new_database, serving
from engine.tests.privacy.everything import rows_of
from engine.tests.talk import PATIENCE_SECONDS, until

DAYS = 30
NOW = datetime.now(UTC)
OLD, YOUNG = NOW - timedelta(days=DAYS + 1), NOW - timedelta(days=DAYS - 1)


@pytest.fixture(scope="module")
def own_url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, f"retention_{secrets.token_hex(4)}") as url:
        upgrade(url)
        yield url


@pytest_asyncio.fixture
async def own(own_url: str) -> AsyncIterator[Database]:
    """A database of this module's own: a sweep is about all users."""
    database = Database(own_url)
    yield database
    await database.dispose()


@pytest_asyncio.fixture(autouse=True)
async def _due(own: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "STEP_PAUSE_SECONDS", 0)
    await own.write(EVERYBODY, delete(SweepRow), delete(UserRow))


def sweeper(database: Database, kept: Retention | None = None) -> Sweeper:
    return Sweeper(database, kept or Retention(DAYS), None)


async def add_user(database: Database, user: str, since: datetime = OLD) -> None:
    await database.write(
        user,
        ensure_user(user),
        update(UserRow).where(UserRow.id == user).values(created_at=since),
    )


async def add_thread(
    database: Database, user: str, name: str, changed: datetime, said: datetime | None = None
) -> None:
    """A conversation that began long ago and was last changed then, with an item of `said`."""
    thread = {"user_id": user, "id": name, "payload": {}, "created_at": OLD, "updated_at": changed}
    item = {"user_id": user, "thread_id": name, "id": "item", "type": "x", "payload": {}}
    items = [insert(ItemRow).values(**item, created_at=said)] if said else []
    await database.write(user, insert(ThreadRow).values(**thread), *items)


async def add_run(
    database: Database, user: str, name: str, began: datetime, status: str = "done"
) -> None:
    run = {"user_id": user, "id": name, "thread_id": name, "status": status, "request": "r"}
    rest = {"model": "m", "slot": 1, "start_seq": 0, "worker": "w", "started_at": began}
    await database.write(user, insert(RunRow).values(**run, **rest))


async def threads_of(database: Database, user: str) -> set[str]:
    rows = await database.read(user, select(ThreadRow.id).where(ThreadRow.user_id == user))
    return {row.id for row in rows}


async def test_conversations_in_which_nothing_happened_are_deleted(own: Database) -> None:
    for user in ("ada", "grace"):
        await add_user(own, user)
        await add_thread(own, user, "old", OLD, OLD)
        await add_thread(own, user, "empty", OLD)
        await add_thread(own, user, "renamed", YOUNG, OLD)
        await add_thread(own, user, "continued", OLD, YOUNG)
        await add_thread(own, user, "running", OLD, OLD)
        await add_run(own, user, "running", YOUNG, "running")

    swept = await sweeper(own).sweep()

    assert swept.conversations == 4
    for user in ("ada", "grace"):
        assert await threads_of(own, user) == {"renamed", "continued", "running"}
        [items] = await own.read(
            user, select(func.count()).where(ItemRow.user_id == user, ItemRow.thread_id == "old")
        )
        assert items[0] == 0


async def test_the_age_is_that_of_the_databases_clock(
    own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "datetime", MonthAhead)
    await add_user(own, "ada", YOUNG)
    await add_thread(own, "ada", "young", OLD, YOUNG)

    assert (await sweeper(own).sweep()).conversations == 0
    assert await threads_of(own, "ada") == {"young"}


async def test_old_runs_and_days_are_deleted_and_the_use_stays(own: Database) -> None:
    await add_user(own, "ada", YOUNG)
    for name, began in (("old", OLD), ("young", YOUNG)):
        await add_run(own, "ada", name, began)
        day = {"user_id": "ada", "day": began.date()}
        await own.write("ada", insert(TokenDayRow).values(**day, tokens=1))
        counts = {"turns": 1, "tokens_in": 1, "tokens_cached": 0, "tokens_out": 1}
        use = {**day, "model": "m", **counts, "cost": 1, "unpriced": 0}
        await own.write("ada", insert(UsageRow).values(**use))

    await add_run(own, "ada", "open", OLD, "running")

    await sweeper(own).sweep()

    runs = await own.read("ada", select(RunRow.id).where(RunRow.user_id == "ada"))
    assert sorted(run.id for run in runs) == ["open", "young"]
    counts_of = await rows_of(own, "ada")
    assert counts_of[TokenDayRow.__tablename__] == 1
    assert counts_of[UsageRow.__tablename__] == 2


async def test_visitors_without_a_trace_are_forgotten(own: Database) -> None:
    await add_user(own, "gone")
    await add_user(own, "new", YOUNG)
    await add_user(own, "talks")
    await add_thread(own, "talks", "recent", YOUNG)
    use = {"day": OLD.date(), "model": "m", "turns": 1, "tokens_in": 1, "tokens_cached": 0}
    await own.write(
        "gone",
        insert(UsageRow).values(user_id="gone", **use, tokens_out=1, cost=1, unpriced=0),
    )

    swept = await sweeper(own).sweep()

    assert swept.users == 1
    users = await own.read(EVERYBODY, select(UserRow.id).order_by(UserRow.id))
    assert [user.id for user in users] == ["erased:", "new", "talks"]
    [left] = await own.read(EVERYBODY, select(UsageRow.user_id, UsageRow.turns))
    assert tuple(left) == ("erased:", 1)
    # Nobody asked for it: who comes back is welcome.
    await own.write("gone", ensure_user("gone"))
    assert await rows_of(own, "gone")


async def test_visitors_have_a_period_of_their_own(own: Database) -> None:
    for user in ("anon_1", "ada"):
        await add_user(own, user)
        await add_thread(own, user, "old", OLD, OLD)

    await sweeper(own, Retention(0, DAYS, "anon_")).sweep()

    assert await threads_of(own, "anon_1") == set()
    assert await threads_of(own, "ada") == {"old"}


async def test_nothing_is_deleted_unless_it_is_set(own: Database) -> None:
    assert not Retention().is_set
    assert not Retention(visitor_days=7).is_set
    assert Retention(days=1).is_set
    assert Retention(visitor_days=7, visitors="anon_").is_set


async def test_many_workers_do_each_step_once(
    own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "USERS_AT_ONCE", 5)
    users = [f"user_{number:03}" for number in range(23)]
    for user in users:
        await add_user(own, user)
        await add_thread(own, user, "old", OLD, OLD)

    swept = await asyncio.gather(*(sweeper(own).sweep() for _ in range(4)))

    assert sum(one.conversations for one in swept) == len(users)
    assert sum(one.users for one in swept) == len(users)
    # The round is over for all, and begins again after an hour.
    await add_user(own, "late")
    await add_thread(own, "late", "old", OLD, OLD)
    assert (await sweeper(own).sweep()).conversations == 0
    an_hour_ago = func.now() - timedelta(hours=1, seconds=1)
    await own.write(EVERYBODY, update(SweepRow).values(ended_at=an_hour_ago))
    assert (await sweeper(own).sweep()).conversations == 1


async def test_a_step_that_another_worker_does_is_left_to_it(own: Database) -> None:
    await add_user(own, "ada")
    await add_thread(own, "ada", "old", OLD, OLD)
    row = insert(SweepRow).values(name=retention.SWEEP, ended_at=OLD)
    await own.write(EVERYBODY, row)
    async with own.transaction(EVERYBODY) as connection:
        await connection.execute(select(SweepRow).with_for_update())
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert (await sweeper(own).sweep()).conversations == 0
    assert (await sweeper(own).sweep()).conversations == 1


async def test_a_user_with_much_to_delete_takes_several_steps(
    own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "ROWS_AT_ONCE", 2)
    await add_user(own, "ada")
    for number in range(5):
        await add_thread(own, "ada", f"old_{number}", OLD, OLD)
        await add_run(own, "ada", f"run_{number}", OLD)

    swept = await sweeper(own).sweep()

    assert (swept.conversations, swept.users) == (5, 1)
    assert swept.rows == 5


async def test_a_round_that_was_broken_off_goes_on(
    own: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "USERS_AT_ONCE", 2)
    for number in range(6):
        await add_user(own, f"user_{number}", YOUNG)
        await add_thread(own, f"user_{number}", "old", OLD, OLD)
    first = sweeper(own)
    await first._step(retention.Swept())

    left = [number for number in range(6) if await threads_of(own, f"user_{number}")]
    assert left == [2, 3, 4, 5]
    await sweeper(own).sweep()
    assert not [number for number in range(6) if await threads_of(own, f"user_{number}")]


async def test_it_runs_in_the_background(own: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "LOOK_SECONDS", 0.05)
    await add_user(own, "ada", YOUNG)
    await add_thread(own, "ada", "old", OLD, OLD)
    working = sweeper(own)

    working.start()

    async def is_swept() -> bool:
        return not await threads_of(own, "ada")

    await until(is_swept)
    await working.close()


async def test_the_setting_is_carried_out_by_one_of_many_workers(
    own: Database,
    own_url: str,
    settings: Settings,
    create_app: CreateApp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retention, "LOOK_SECONDS", 0.05)
    said: list[str] = []
    monkeypatch.setattr(retention.logger, "info", lambda line, *of: said.append(line % of))
    for user in ("ada", "grace"):
        await add_user(own, user, YOUNG)
        await add_thread(own, user, "old", OLD, OLD)
        await add_thread(own, user, "young", OLD, YOUNG)
    changed = settings.model_copy(update={"database_url": own_url, "retention_days": DAYS})

    async def is_swept() -> bool:
        return bool(said)

    async with serving(create_app(changed)), serving(create_app(changed)):
        await until(is_swept)

    assert said == ["deleted as too old: 2 conversations, 0 other rows, 0 users without any"]
    assert [await threads_of(own, user) for user in ("ada", "grace")] == [{"young"}] * 2
