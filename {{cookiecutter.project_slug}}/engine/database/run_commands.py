"""Commands about runs, which other workers receive by LISTEN/NOTIFY."""

from sqlalchemy import Text, cast, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.database.database import TABLE_PREFIX
from engine.database.rows import IS_RUNNING, RunRow

# Wishes are told to all workers here; the payload is JSON with `user_id`, `run_id` and `wish`.
CHANNEL = f"{TABLE_PREFIX}run_wishes"


async def stop_runs(connection: AsyncConnection, user_id: str) -> None:
    """Have all answers to this user stopped, once the transaction has committed."""
    mine = (RunRow.user_id == user_id, IS_RUNNING)
    running = await connection.execute(
        update(RunRow).where(*mine).values(wish="stop").returning(RunRow.id)
    )
    for run_id in running.scalars().all():
        payload = func.json_build_object("user_id", user_id, "run_id", run_id, "wish", "stop")
        await connection.execute(select(func.pg_notify(CHANNEL, cast(payload, Text))))
