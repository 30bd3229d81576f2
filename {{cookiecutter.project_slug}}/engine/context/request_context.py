"""Who is asking: what every store method and every turn is given."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chatkit.types import ThreadMetadata

from engine.context.run import Retry, Run


@dataclass(frozen=True)
class RequestContext:
    """One request, as the router authenticated and admitted it. It travels; nothing changes it.

    `page` is what the site around the chat says of its page.
    Requests whose answer streams have a `run`. `thread` is what admission read of the thread,
    so that the turn need not read it again. `base_url` is where the browser reached us.
    With `visible_only`, pages of items hold what the user may see: the SDK removes the others from
    a page that it has read, and the page would be too short.
    `address` is that of `SharedLimits`, where there are such. `sign_in` is the user's session, where
    there are sessions.
    """

    user_id: str
    session_id: str | None = None
    page: Mapping[str, str] = field(default_factory=dict)
    locale: str = "en"
    request_id: str = ""
    base_url: str = ""
    request_key: str | None = None
    address: str | None = None
    sign_in: str | None = None
    run: Run | None = None
    thread: ThreadMetadata | None = None
    visible_only: bool = False

    @property
    def retry(self) -> Retry | None:
        return self.run.retry if self.run else None
