"""Probes: whether the process lives, and whether it should be sent traffic."""

from alembic.migration import MigrationContext
from fastapi import APIRouter, Request
from sqlalchemy import Connection

from app.chat.runs import Runs
from app.config import Settings
from app.db import EVERYBODY, VERSION_TABLE, Database
from app.errors import DatabaseUnavailable, Unavailable, refusals
from app.migrations import is_behind
from app.row_security import is_walled_in

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process lives."""
    return {"status": "ok"}


@router.get("/readyz", responses=refusals(Unavailable, DatabaseUnavailable))
async def readyz(request: Request) -> dict[str, str]:
    """It may be sent traffic: the database answers, is migrated, and nobody stops the process."""
    runs: Runs = request.app.state.runs
    if runs.is_draining:
        raise Unavailable("This server is about to stop.")
    database: Database = request.app.state.database
    async with database.transaction(EVERYBODY) as connection:
        if is_behind(await connection.run_sync(_revision)):
            raise Unavailable("The database is not migrated: run `python -m app migrate`.")
        is_walled = await connection.run_sync(is_walled_in)
    settings: Settings = request.app.state.settings
    if is_walled != settings.row_level_security:
        raise Unavailable("ROW_LEVEL_SECURITY is not what the database does: see docs/scaling.md.")
    return {"status": "ready"}


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()
