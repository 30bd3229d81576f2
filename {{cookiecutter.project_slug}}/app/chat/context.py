"""Who is asking: what every store method and every turn is given."""

from dataclasses import dataclass

from chatkit.types import ThreadMetadata

from app.chat.run import Retry, Run


@dataclass(frozen=True)
class RequestContext:
    """One request, as the router authenticated and admitted it. It travels; nothing changes it.

    Requests whose answer streams have a `run`. `thread` is what admission read of the thread,
    so that the turn need not read it again.
    """

    user_id: str
    session_id: str | None = None
    locale: str = "en"
    request_id: str = ""
    request_key: str | None = None
    run: Run | None = None
    thread: ThreadMetadata | None = None

    @property
    def retry(self) -> Retry | None:
        return self.run.retry if self.run else None
