"""The ids of the current request, which logs and traces carry."""

from contextvars import ContextVar

NONE = "-"

current_request_id: ContextVar[str] = ContextVar("current_request_id", default=NONE)
current_run_id: ContextVar[str] = ContextVar("current_run_id", default=NONE)
current_user_id: ContextVar[str] = ContextVar("current_user_id", default=NONE)


def current_ids() -> dict[str, str]:
    """The ids that are known, by the names of their fields in a log."""
    ids = {
        "request_id": current_request_id.get(),
        "run_id": current_run_id.get(),
        "user_id": current_user_id.get(),
    }
    return {name: value for name, value in ids.items() if value != NONE}
