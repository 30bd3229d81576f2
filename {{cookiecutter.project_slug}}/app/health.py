"""Probes: whether the process lives, and whether it should be sent traffic."""

import logging

from alembic.migration import MigrationContext
from fastapi import APIRouter, Request
from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from app.db import VERSION_TABLE, Database
from app.errors import Unavailable
from app.migrations import newest_revision

logger = logging.getLogger(__name__)

router = APIRouter()


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@router.get("/readyz")
async def readyz(request: Request) -> dict[str, str]:
    database: Database = request.app.state.database
    try:
        async with database.transaction() as connection:
            revision = await connection.run_sync(_revision)
    except (SQLAlchemyError, OSError) as error:
        logger.warning("the database is not reachable: %s", type(error).__name__)
        raise Unavailable("The database is not reachable.") from None
    if revision != newest_revision():
        raise Unavailable("The database is not migrated: run `python -m app migrate`.")
    return {"status": "ready"}


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()
