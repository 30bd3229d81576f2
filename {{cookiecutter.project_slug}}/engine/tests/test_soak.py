"""A short soak test, and tests that each check of the invariant can fail."""

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
from engine.tests.invariant import SentMessage, violations
from engine.tests.soak import ACTIONS, FAULTS, make_plan, soak, summary

pytestmark = pytest.mark.long

USERS, THREADS, ITEMS = UserRow.__tablename__, ThreadRow.__tablename__, ItemRow.__tablename__
RUNS = RunRow.__tablename__

SHORT = ("kill worker", "kill database", "stop worker", "crash database", "stop database")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
async def test_the_invariant_holds_after_a_short_soak(settings: Settings, tmp_path: Path) -> None:
    plan = make_plan(40, 1, users=8, faults=SHORT)

    report = await soak(plan, tmp_path)

    text = "\n".join(summary(plan, report))
    assert report.violations == [], text
    assert [report.events[f"fault: {kind}"] for kind in SHORT] == [1] * len(SHORT)
    assert sum(report.outcomes.values()) == 40
    assert report.runs["done"] > 5, text


def test_the_same_seed_makes_the_same_plan() -> None:
    plan = make_plan(1_000, 7)

    assert plan == make_plan(1_000, 7)
    assert plan.turns != make_plan(1_000, 8).turns
    assert {fault.kind for fault in plan.faults} == set(FAULTS)
    assert {turn.action for turn in plan.turns} == set(ACTIONS)


@pytest.fixture(scope="module")
def own_url(postgres_url: str) -> Iterator[str]:
    with new_database(postgres_url, f"soak_{secrets.token_hex(6)}") as url:
        upgrade(url)
        yield url


@pytest.fixture
async def consistent(own_url: str) -> AsyncIterator[Database]:
    """Rows of a thread with two messages and two complete answers."""
    database = Database(own_url)
    await execute(database, *map(item, ROWS))
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
    SentMessage("u", "hello", "hello yourself", "t", acknowledged=True),
    SentMessage("u", "and?", "and so on", "t", acknowledged=True),
)

# Seq, id, type, text.
ROWS = (
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


CUT_ANSWER = change("a2", content("and so"))
NOTICE = item((70, "n", "task", "interrupted"))
CANCELLED = item((70, "n", "sdk_hidden_context", "stopped"))


async def test_consistent_rows_have_no_violation(consistent: Database) -> None:
    assert await violations(consistent, ANSWERED) == []


@pytest.mark.parametrize(
    ("statements", "sent_messages", "kind"),
    [
        pytest.param(
            [remove("m2"), remove("w2"), remove("a2")],
            ANSWERED,
            "an acknowledged message is lost",
            id="lost",
        ),
        pytest.param(
            [item((70, "m3", "user_message", "and?"), "t2"), item((80, "n", "task", ""), "t2")],
            [ANSWERED[0], SentMessage("u", "and?", "and so on", acknowledged=True)],
            "a message is stored more than once",
            id="twice",
        ),
        pytest.param(
            [],
            [ANSWERED[0], SentMessage("u", "and?", "and so on", "t", refused=True)],
            "a message is stored where it should not be",
            id="refused",
        ),
        pytest.param(
            [],
            [ANSWERED[0], SentMessage("u", "and?", "and so on", "t2", acknowledged=True)],
            "a message is stored where it should not be",
            id="elsewhere",
        ),
        pytest.param([end("r2", "running")], ANSWERED, "a run is left running", id="running"),
        pytest.param(
            [CUT_ANSWER], ANSWERED, "an answer is neither complete nor marked", id="half an answer"
        ),
        pytest.param(
            [remove("a2"), end("r2", "failed")],
            ANSWERED,
            "an answer is neither complete nor marked",
            id="failed and not reported",
        ),
        pytest.param(
            [remove("a2")],
            [
                ANSWERED[0],
                SentMessage("u", "and?", None, "t", acknowledged=True, failure_seen=True),
            ],
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
            "an item is in the wrong position",
            id="under another",
        ),
        pytest.param(
            [item((5, "n0", "task", "interrupted"))],
            ANSWERED,
            "an item is in the wrong position",
            id="before the first message",
        ),
        pytest.param(
            [f"DELETE FROM {ITEMS}"],
            [SentMessage("u", "hello", "hello yourself", "t", acknowledged=True, deleted=True)],
            "a deleted thread exists again",
            id="recreated",
        ),
    ],
)
async def test_each_violation_is_found(
    consistent: Database, statements: list[str], sent_messages: Sequence[SentMessage], kind: str
) -> None:
    await execute(consistent, *statements)

    assert {violation.kind for violation in await violations(consistent, sent_messages)} == {kind}


@pytest.mark.parametrize(
    ("began", "kinds"), [(60, set()), (50, {"an answer is neither complete nor marked"})]
)
async def test_an_interrupted_retry_counts_if_it_had_begun_to_answer(
    consistent: Database, began: int, kinds: set[str]
) -> None:
    sent_messages = [ANSWERED[0], SentMessage("u", "and?", None, "t", acknowledged=True)]
    await execute(
        consistent,
        f"INSERT INTO {RUNS} (user_id, id, thread_id, status, request, model, slot, start_seq,"
        f" worker, started_at, ended_at) SELECT user_id, 'r3', thread_id, 'interrupted', '{RETRY}',"
        f" model, slot, {began}, worker, now() + interval '1 s', now() FROM {RUNS} WHERE id = 'r2'",
    )

    assert {violation.kind for violation in await violations(consistent, sent_messages)} == kinds


async def test_two_items_with_the_same_seq_are_found(consistent: Database) -> None:
    """Without this unique index; with it, PostgreSQL refuses such rows."""
    index = f"{ITEMS}_user_id_thread_id_seq_idx"
    await execute(consistent, f"DROP INDEX {index}", item((60, "n", "task", "interrupted")))
    try:
        [violation] = await violations(consistent, ANSWERED)
        assert violation.kind == "two items have the same seq"
    finally:
        await execute(consistent, remove("n"))
        await execute(
            consistent, f"CREATE UNIQUE INDEX {index} ON {ITEMS} (user_id, thread_id, seq)"
        )


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param([CUT_ANSWER, NOTICE], id="interrupted"),
        pytest.param([CUT_ANSWER, CANCELLED], id="stopped"),
        pytest.param([remove("a2"), end("r2", "failed")], id="failed and reported"),
    ],
)
async def test_marked_and_reported_failures_are_no_violation(
    consistent: Database, statements: list[str]
) -> None:
    sent_messages = [
        ANSWERED[0],
        SentMessage("u", "and?", "and so on", "t", acknowledged=True, failure_seen=True),
    ]
    await execute(consistent, *statements)

    assert await violations(consistent, sent_messages) == []
