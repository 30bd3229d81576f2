"""Who is asking: what every store method and every turn is given."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Retry:
    """An answer that is being replaced: the items in `(after_seq, last_seq]` are the old one."""

    after_seq: int
    last_seq: int


@dataclass(frozen=True)
class RequestContext:
    """One request, as the router authenticated and admitted it. It travels; nothing changes it."""

    user_id: str
    session_id: str | None = None
    locale: str = "en"
    request_id: str = ""
    retry: Retry | None = None
