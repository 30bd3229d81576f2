"""What happens around signing in, in the log: the logger `engine.audit`, one line each.

A line has the event, ids and codes, and nothing that anybody wrote: no name, no password. An
address is a keyed hash there too, the same for as long as SECRET_KEY is.
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
    """Write the event down; what went wrong has a reason, and is a warning."""
    settings: Settings | None = getattr(request.app.state, "settings", None) if request else None
    address = Addresses(settings).of(request) if request and settings else "-"
    level = logging.INFO if reason is None else logging.WARNING
    # `%r` where a user's id comes from elsewhere, and may hold anything.
    logger.log(
        level,
        "%s user=%r address=%s reason=%s",
        event,
        user_id or "-",
        address.removeprefix("address:"),
        reason or "-",
    )
