"""The audit log: one line for each event of authentication, from the logger `engine.audit`.

A line has the event, ids and codes, and no text that a user wrote: no name, no password. Network
addresses are keyed hashes, which change with SECRET_KEY.
"""

import logging

logger = logging.getLogger("engine.audit")


def record(
    event: str,
    address: str = "-",
    *,
    user_id: str | None = None,
    reason: str | None = None,
) -> None:
    """Log an event. `address` is the client's, as `Addresses` hashes it. A `reason` is the error
    code of a failure, which is logged as a warning.
    """
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
