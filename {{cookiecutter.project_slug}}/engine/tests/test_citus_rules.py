"""The rules of Citus. `engine/tests/fixtures.py` checks every statement of the application."""

from datetime import timedelta

import pytest
from sqlalchemy import Executable, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.sql.elements import ClauseElement

from engine.database.database import ASYNC_COMMIT, EVERYBODY, Database
from engine.database.rows import RunRow, UserRow
from engine.tests.citus_rules import violations

NEW = insert(UserRow).values(id="someone")
THIS = update(RunRow).where(RunRow.user_id == "someone")

REFUSED = {
    "RETURNING": NEW.returning(UserRow.id, ASYNC_COMMIT),
    "RETURNING of a CTE": select(THIS.returning(func.now()).cte("changed")),
    "DO UPDATE SET": NEW.on_conflict_do_update(
        index_elements=[UserRow.id], set_={"created_at": func.now()}
    ),
    "ON CONFLICT … WHERE": NEW.on_conflict_do_update(
        index_elements=[UserRow.id],
        set_={"created_at": NEW.excluded.created_at},
        where=UserRow.created_at < func.now(),
    ),
    "sum": THIS.values(heartbeat_at=RunRow.heartbeat_at + timedelta(seconds=1)),
    "COALESCE": THIS.values(ended_at=func.coalesce(RunRow.ended_at, func.now())),
    "volatile SET": THIS.values(slot=func.random()),
    "volatile WHERE": THIS.where(func.random() < 1).values(slot=1),
    "pg_notify": select(THIS.returning(RunRow.id).cte("told").c.id, func.pg_notify("a", "b")),
}
ACCEPTED = {
    "SELECT over a CTE": select(NEW.returning(UserRow.id).cte("written").c.id, ASYNC_COMMIT),
    "excluded": NEW.on_conflict_do_update(
        index_elements=[UserRow.id], set_={"created_at": NEW.excluded.created_at}
    ),
    "now": THIS.values(heartbeat_at=func.now()),
    "pg_notify alone": select(func.pg_notify("a", "b")),
}


@pytest.mark.parametrize("statement", REFUSED.values(), ids=REFUSED.keys())
def test_refused(statement: ClauseElement) -> None:
    assert list(violations(statement))


@pytest.mark.parametrize("statement", ACCEPTED.values(), ids=ACCEPTED.keys())
def test_accepted(statement: ClauseElement) -> None:
    assert not list(violations(statement))


async def test_every_statement_of_the_application_is_checked(database: Database) -> None:
    statement: Executable = THIS.values(slot=func.random())
    with pytest.raises(AssertionError, match="Citus refuses this: random in SET is volatile"):
        await database.fetch(EVERYBODY, statement)
