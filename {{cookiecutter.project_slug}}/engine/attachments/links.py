"""Addresses under which a file is shown for a while.

The widget is a frame from another site: its images come with neither cookie nor header, so the
address itself has to prove that we gave it out.
"""

import hashlib
import time
from dataclasses import asdict, dataclass, replace

from itsdangerous import BadData, URLSafeSerializer

from engine.context.request_context import RequestContext
from engine.http.errors import NotFound
from engine.settings.settings import Settings


@dataclass(frozen=True)
class Link:
    """What an address leads to, until `expires` (Unix time), and while the user's session lasts
    in which it was given out, where there are sessions.
    """

    key: str
    name: str
    mime_type: str
    expires: int
    user_id: str | None = None
    sign_in: str | None = None


class Links:
    def __init__(self, settings: Settings, seconds: int) -> None:
        self._seconds = seconds
        self._serializer = URLSafeSerializer(
            settings.signing_keys,
            salt="attachment-link",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    def token(self, key: str, name: str, mime_type: str, context: RequestContext) -> str:
        """Good for one to two times the seconds, and the same for that long.

        An address that changed with each look would have the browser load its image again.
        """
        expires = (int(time.time()) // self._seconds + 2) * self._seconds
        link = Link(key, name, mime_type, expires)
        if context.sign_in is not None:
            link = replace(link, user_id=context.user_id, sign_in=context.sign_in)
        return str(self._serializer.dumps(asdict(link)))

    def renewed(self, token: str, context: RequestContext) -> str:
        """Another for what this one led to, be it expired. Raises `NotFound`."""
        link = self._read(token)
        return self.token(link.key, link.name, link.mime_type, context)

    def open(self, token: str) -> Link:
        """Raises `NotFound` for what was not given out, or too long ago."""
        link = self._read(token)
        if link.expires < time.time():
            raise NotFound("This link has expired.")
        return link

    def _read(self, token: str) -> Link:
        try:
            return Link(**self._serializer.loads(token))
        except (BadData, TypeError):
            raise NotFound("There is no such file.") from None
