"""The audit log: one line for each event of authentication, from the logger `engine.audit`.

A line has the event, ids and codes, and no text that a user wrote: no name, no password. Network
addresses are keyed hashes, which change with SECRET_KEY.
"""

import logging

from fastapi import Request

from engine.http.addresses import Addresses
from engine.settings.settings import Settings

logger = logging.getLogger("engine.audit")


def record(
    event: str,
    request: Request | None = None,
    *,
    user_id: str | None = None,
    reason: str | None = None,
) -> None:
    """Log an event. A `reason` is the error code of a failure, which is logged as a warning."""
    settings: Settings | None = getattr(request.app.state, "settings", None) if request else None
    address = Addresses(settings).of(request) if request and settings else "-"
    level = logging.INFO if reason is None else logging.WARNING
    # `%r`, because an id from an identity provider may contain line breaks.
    logger.log(
        level,
        "%s user=%r address=%s reason=%s",
        event,
        user_id or "-",
        address.removeprefix("address:"),
        reason or "-",
    )
