"""The context of a request, which every store method and every turn receives."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chatkit.types import ThreadMetadata

from engine.context.run import Retry, Run


@dataclass(frozen=True)
class RequestContext:
    """One authenticated and admitted request.

    `page` is what the site around the chat reports about its page. `run` is set for requests with
    a streamed answer. `thread` is the thread that admission has loaded, so that the turn need not
    load it again. `base_url` is the address at which the browser reached this server.
    `visible_only` limits pages of items to those that the user may see: the SDK removes the others
    after loading, which would make the page too short.
    `address` is the key of `SharedLimits`, if there are any. `sign_in` is the id of the user's
    session, if there are sessions.
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
