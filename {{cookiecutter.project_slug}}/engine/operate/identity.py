"""Tells this application from others that answer at the same port."""

import hmac
from hashlib import sha256

from engine.database.database import TABLE_PREFIX
from engine.settings.settings import Settings


def application_id(settings: Settings) -> str:
    """The same for all processes of an application, which have its SECRET_KEY."""
    key = settings.secret_key.get_secret_value().encode()
    return hmac.new(key, f"application {TABLE_PREFIX}".encode(), sha256).hexdigest()[:16]
