"""The soak, in short, and proof that its check of the invariant can fail."""

import json
import secrets
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import text

from engine.database.database import EVERYBODY, Database
from engine.database.rows import ItemRow, RunRow, ThreadRow, UserRow
from engine.operate.commands.migrate import upgrade
from engine.runs.recovery import RETRY
from engine.settings.settings import Settings
from engine.tests.fixtures import new_database
from engine.tests.invariant import Sent, violations
from engine.tests.soak import FAULTS, HABITS, make_plan, soak, summary

pytestmark = pytest.mark.long

USERS, THREADS, ITEMS = UserRow.__tablename__, ThreadRow.__tablename__, ItemRow.__tablename__
RUNS = RunRow.__tablename__

SHORT = ("kill worker", "kill database", "stop worker", "crash database", "stop database")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_the_invariant_holds_after_a_short_soak(settings: Settings, tmp_path: Path) -> None:
    plan = make_plan(40, 1, users=8, faults=SHORT)

    report = await soak(plan, tmp_path)

    told = "\n".join(summary(plan, report))
    assert report.violations == [], told
    assert [report.events[f"fault: {kind}"] for kind in SHORT] == [1] * len(SHORT)
    assert sum(report.outcomes.values()) == 40
    assert report.runs["done"] > 5, told


def test_the_same_seed_makes_the_same_plan() -> None:
    plan = make_plan(1_000, 7)

    assert plan == make_plan(1_000, 7)
    assert plan.turns != make_plan(1_000, 8).turns
    assert {fault.kind for fault in plan.faults} == set(FAULTS)
    assert {turn.habit for turn in plan.turns} == set(HABITS)


@pytest.fixture(scope="module")
def own_url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, f"soak_{secrets.token_hex(6)}") as url:
        upgrade(url)
        yield url


@pytest.fixture
async def quiet(own_url: str) -> AsyncIterator[Database]:
    """Somebody said hello and was answered, twice."""
    database = Database(own_url)
    await execute(database, *map(item, WORLD))
    await execute(
        database,
        f"INSERT INTO {RUNS} (user_id, id, thread_id, status, request, model, slot, start_seq,"
        " worker, started_at, ended_at) VALUES"
        " ('u', 'r1', 't', 'done', 'threads.create', 'm', 1, 0, 'w', now(), now()),"
        " ('u', 'r2', 't', 'done', 'threads.add_user_message', 'm', 1, 30, 'w', now(), now())",
    )
    yield database
    await execute(database, f"TRUNCATE {USERS} CASCADE")
    await database.dispose()


ANSWERED = (
    Sent("u", "hello", "hello yourself", "t", acknowledged=True),
    Sent("u", "and?", "and so on", "t", acknowledged=True),
)

# Place, id, type, text.
WORLD = (
    (10, "m1", "user_message", "hello"),
    (20, "w1", "workflow", "done"),
    (30, "a1", "assistant_message", "hello yourself"),
    (40, "m2", "user_message", "and?"),
    (50, "w2", "workflow", "done"),
    (60, "a2", "assistant_message", "and so on"),
)


def item(place: tuple[int, str, str, str], thread_id: str = "t") -> str:
    seq, item_id, type_, said = place
    payload = {"workflow": {"summary": said}} if type_ == "workflow" else content(said)
    return f"""
        WITH u AS (INSERT INTO {USERS} (id) VALUES ('u') ON CONFLICT DO NOTHING),
        t AS (INSERT INTO {THREADS} (user_id, id, payload) VALUES ('u', '{thread_id}', 'null')
            ON CONFLICT DO NOTHING)
        INSERT INTO {ITEMS} (user_id, thread_id, id, seq, type, payload)
        OVERRIDING SYSTEM VALUE
        VALUES ('u', '{thread_id}', '{item_id}', {seq}, '{type_}', '{json.dumps(payload)}')
    """


def content(said: str) -> dict[str, object]:
    return {"content": [{"text": said}]}


async def execute(database: Database, *statements: str) -> None:
    for statement in statements:
        await database.fetch(EVERYBODY, text(statement.replace(":", r"\:")))


def change(item_id: str, payload: dict[str, object]) -> str:
    return f"UPDATE {ITEMS} SET payload = '{json.dumps(payload)}' WHERE id = '{item_id}'"


def remove(item_id: str) -> str:
    return f"DELETE FROM {ITEMS} WHERE id = '{item_id}'"


def end(run_id: str, how: str) -> str:
    return f"UPDATE {RUNS} SET status = '{how}' WHERE id = '{run_id}'"


HALF = change("a2", content("and so"))
NOTICE = item((70, "n", "task", "interrupted"))
CANCELLED = item((70, "n", "sdk_hidden_context", "stopped"))


async def test_a_world_in_order_has_no_violation(quiet: Database) -> None:
    assert await violations(quiet, ANSWERED) == []


@pytest.mark.parametrize(
    ("statements", "ledger", "kind"),
    [
        pytest.param(
            [remove("m2"), remove("w2"), remove("a2")],
            ANSWERED,
            "an acknowledged message is lost",
            id="lost",
        ),
        pytest.param(
            [item((70, "m3", "user_message", "and?"), "t2"), item((80, "n", "task", ""), "t2")],
            [ANSWERED[0], Sent("u", "and?", "and so on", acknowledged=True)],
            "a message is there more than once",
            id="twice",
        ),
        pytest.param(
            [],
            [ANSWERED[0], Sent("u", "and?", "and so on", "t", refused=True)],
            "a message is where it should not be",
            id="refused",
        ),
        pytest.param(
            [],
            [ANSWERED[0], Sent("u", "and?", "and so on", "t2", acknowledged=True)],
            "a message is where it should not be",
            id="elsewhere",
        ),
        pytest.param([end("r2", "running")], ANSWERED, "a run is left running", id="running"),
        pytest.param(
            [HALF], ANSWERED, "an answer is neither complete nor marked", id="half an answer"
        ),
        pytest.param(
            [remove("a2"), end("r2", "failed")],
            ANSWERED,
            "an answer is neither complete nor marked",
            id="failed and nobody told",
        ),
        pytest.param(
            [remove("a2")],
            [ANSWERED[0], Sent("u", "and?", None, "t", acknowledged=True, told=True)],
            "an answer is neither complete nor marked",
            id="done without an answer",
        ),
        pytest.param(
            [change("w2", {"workflow": {"summary": None}})],
            ANSWERED,
            "a workflow is left open",
            id="open workflow",
        ),
        pytest.param(
            [item((70, "a3", "assistant_message", "and so on"))],
            ANSWERED,
            "a message has more than one answer",
            id="two answers",
        ),
        pytest.param(
            [
                change("a1", content("and so on")),
                item((35, "n0", "task", "interrupted")),
                NOTICE,
            ],
            ANSWERED,
            "an item is out of place",
            id="under another",
        ),
        pytest.param(
            [item((5, "n0", "task", "interrupted"))],
            ANSWERED,
            "an item is out of place",
            id="before the first message",
        ),
        pytest.param(
            [f"DELETE FROM {ITEMS}"],
            [Sent("u", "hello", "hello yourself", "t", acknowledged=True, deleted=True)],
            "a deleted thread came back",
            id="undead",
        ),
    ],
)
async def test_each_violation_is_seen(
    quiet: Database, statements: list[str], ledger: Sequence[Sent], kind: str
) -> None:
    await execute(quiet, *statements)

    assert {violation.kind for violation in await violations(quiet, ledger)} == {kind}


@pytest.mark.parametrize(
    ("began", "kinds"), [(60, set()), (50, {"an answer is neither complete nor marked"})]
)
async def test_a_retry_that_was_cut_is_judged_by_whether_it_had_begun_to_answer(
    quiet: Database, began: int, kinds: set[str]
) -> None:
    ledger = [ANSWERED[0], Sent("u", "and?", None, "t", acknowledged=True)]
    await execute(
        quiet,
        f"INSERT INTO {RUNS} (user_id, id, thread_id, status, request, model, slot, start_seq,"
        f" worker, started_at, ended_at) SELECT user_id, 'r3', thread_id, 'interrupted', '{RETRY}',"
        f" model, slot, {began}, worker, now() + interval '1 s', now() FROM {RUNS} WHERE id = 'r2'",
    )

    assert {violation.kind for violation in await violations(quiet, ledger)} == kinds


async def test_two_items_in_one_place_are_seen(quiet: Database) -> None:
    """The database itself forbids it, as long as it has this index."""
    index = f"{ITEMS}_user_id_thread_id_seq_idx"
    await execute(quiet, f"DROP INDEX {index}", item((60, "n", "task", "interrupted")))
    try:
        [violation] = await violations(quiet, ANSWERED)
        assert violation.kind == "two items share a place"
    finally:
        await execute(quiet, remove("n"))
        await execute(quiet, f"CREATE UNIQUE INDEX {index} ON {ITEMS} (user_id, thread_id, seq)")


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param([HALF, NOTICE], id="interrupted"),
        pytest.param([HALF, CANCELLED], id="stopped"),
        pytest.param([remove("a2"), end("r2", "failed")], id="failed and told"),
    ],
)
async def test_what_is_marked_or_told_is_in_order(quiet: Database, statements: list[str]) -> None:
    ledger = [ANSWERED[0], Sent("u", "and?", "and so on", "t", acknowledged=True, told=True)]
    await execute(quiet, *statements)

    assert await violations(quiet, ledger) == []
