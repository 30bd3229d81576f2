"""Probes: whether the process lives, and whether it should be sent traffic."""

from alembic.migration import MigrationContext
from fastapi import APIRouter, Request
from sqlalchemy import Connection

from app.chat.runs import Runs
from app.db import EVERYBODY, VERSION_TABLE, Database
from app.errors import Unavailable
from app.migrations import newest_revision

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> dict[str, str]:
    runs: Runs = request.app.state.runs
    if runs.is_draining:
        raise Unavailable("This server is about to stop.")
    database: Database = request.app.state.database
    async with database.transaction(EVERYBODY) as connection:
        revision = await connection.run_sync(_revision)
    if revision != newest_revision():
        raise Unavailable("The database is not migrated: run `python -m app migrate`.")
    return {"status": "ready"}


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()
