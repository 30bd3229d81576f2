"""Stop and leave commands for runs, sent to all workers with NOTIFY."""

from typing import Literal

from sqlalchemy import ColumnElement, Text, cast, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.database.database import TABLE_PREFIX
from engine.database.rows import IS_RUNNING, RunRow

RunCommand = Literal["stop", "leave"]

# The payload is JSON with `user_id`, `run_id` and `command`.
CHANNEL = f"{TABLE_PREFIX}run_commands"


async def send_command(
    connection: AsyncConnection, command: RunCommand, *runs: ColumnElement[bool]
) -> int:
    """Send a command to the workers of the runs that match, when the transaction commits.

    Returns how many runs there are.
    """
    statement = update(RunRow).where(*runs).values(command=command)
    rows = (await connection.execute(statement.returning(RunRow.user_id, RunRow.id))).all()
    for user_id, run_id in rows:
        payload = func.json_build_object(
            *("user_id", user_id), *("run_id", run_id), *("command", command)
        )
        # A statement of its own, so that Citus notifies where the workers listen.
        await connection.execute(select(func.pg_notify(CHANNEL, cast(payload, Text))))
    return len(rows)


async def stop_runs(connection: AsyncConnection, user_id: str) -> None:
    """Stop all answers to this user, when the transaction commits."""
    await send_command(connection, "stop", RunRow.user_id == user_id, IS_RUNNING)
