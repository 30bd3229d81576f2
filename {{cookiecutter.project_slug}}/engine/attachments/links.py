"""Signed links to files, which expire.

ChatKit's frame comes from another site, so its requests for images have neither cookie nor header.
The link itself must prove that the application issued it.
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
    """The file that a link opens until `expires` (Unix time).

    Where sign-in has sessions, the link is also valid only during the session that issued it.
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
        """Valid for one to two times `link_seconds`.

        The expiry is rounded, so that a link stays the same and browsers can cache its image.
        """
        expires = (int(time.time()) // self._seconds + 2) * self._seconds
        link = Link(key, name, mime_type, expires)
        if context.sign_in is not None:
            link = replace(link, user_id=context.user_id, sign_in=context.sign_in)
        return str(self._serializer.dumps(asdict(link)))

    def renewed(self, token: str, context: RequestContext) -> str:
        """A new token for the file of this token, which may have expired. Raises `NotFound`."""
        link = self._read(token)
        return self.token(link.key, link.name, link.mime_type, context)

    def open(self, token: str) -> Link:
        """The link of a valid token. Raises `NotFound` if it is forged or has expired."""
        link = self._read(token)
        if link.expires < time.time():
            raise NotFound("This link has expired.")
        return link

    def _read(self, token: str) -> Link:
        try:
            return Link(**self._serializer.loads(token))
        except (BadData, TypeError):
            raise NotFound("There is no such file.") from None
