"""Health checks: `/healthz` (liveness) and `/readyz` (readiness)."""

import logging
from collections.abc import Callable

from fastapi import APIRouter
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.database import row_security
from engine.database.database import EVERYBODY, Database
from engine.database.migrations import migration_problem
from engine.database.sequence import SEQUENCE_BEHIND, SequenceCheck
from engine.database.server_check import READ_ONLY, SERVER_QUERY, server_problem
from engine.http.errors import DatabaseUnavailable, Unavailable, error_responses
from engine.http.included import NAMES, PROBE_PATH
from engine.operate.identity import application_id
from engine.runs.runs import Runs
from engine.settings.settings import Settings
from engine.version import VERSION

logger = logging.getLogger(__name__)

NOT_STARTED = (
    "The chat is not started: the application's lifespan lacks `async with chat.running():`."
)
REFUSED = (
    "The database refuses the queries of this server: `python3 -m app doctor` shows the reason."
)
OTHER_SECURITY = (
    "ROW_LEVEL_SECURITY differs from the state of the database. Run `python3 -m app migrate` to "
    "apply it; see docs/scale.md."
)


def routes(
    settings: Settings, database: Database, runs: Runs, is_started: Callable[[], bool]
) -> APIRouter:
    router, sequence = APIRouter(), SequenceCheck()

    @router.get(PROBE_PATH, name=f"{NAMES}{PROBE_PATH}")
    async def healthz() -> dict[str, str]:
        """The process is running. `application` tells it from others, to `python3 -m app doctor`.

        The version is that of the template.
        """
        application = application_id(settings)
        return {"status": "ok", "version": VERSION, "application": application}

    @router.get("/readyz", responses=error_responses(Unavailable, DatabaseUnavailable))
    async def readyz() -> dict[str, str]:
        """Ready for traffic: the database answers and is migrated, and the process is not stopping."""
        if not is_started():
            raise Unavailable(NOT_STARTED)
        if runs.is_draining:
            raise Unavailable("This server is about to stop.")
        try:
            async with database.reading(EVERYBODY) as connection:
                problem = await _problem(connection, settings, sequence)
        except DBAPIError as error:
            logger.error("not ready: %s", error.orig)
            raise Unavailable(REFUSED) from error
        if problem == READ_ONLY:
            # The next check connects again, perhaps to the new primary.
            await database.reconnect()
        if problem is not None:
            raise Unavailable(problem)
        return {"status": "ready"}

    return router


async def _problem(
    connection: AsyncConnection, settings: Settings, sequence: SequenceCheck
) -> str | None:
    """The reason why the database is not usable, with the fix; None if it is."""
    server = (await connection.execute(text(SERVER_QUERY))).mappings().one()
    problem = server_problem(server) or await connection.run_sync(migration_problem)
    if problem is not None:
        return problem
    if await connection.run_sync(row_security.is_enabled) != settings.row_level_security:
        return OTHER_SECURITY
    return SEQUENCE_BEHIND if await sequence.is_behind(connection) else None
