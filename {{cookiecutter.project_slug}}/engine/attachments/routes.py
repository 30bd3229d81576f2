"""`GET /attachments/{token}`: returns a file to any client that has a valid link."""

import time
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Response
from fastapi.responses import FileResponse, RedirectResponse

from engine.attachments.files import FileGone
from engine.attachments.links import Link
from engine.attachments.service import FileAttachments
from engine.attachments.types import IMAGES
from engine.auth.base import Authenticator
from engine.http.errors import NotFound

# The validity of a store's own URL, which cannot be revoked.
STORE_SECONDS = 60

# A file must not run scripts as a page of this site. Every response of the application already has
# `X-Content-Type-Options: nosniff`.
SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",  # the widget's frame is another site
}


def link_routes(attachments: FileAttachments, authenticator: Authenticator) -> APIRouter:
    router = APIRouter(include_in_schema=False)

    @router.get("/attachments/{token}")
    async def file(token: str) -> Response:
        link = attachments.links.open(token)
        await _check_sign_in(link, authenticator)
        seconds = max(0, int(link.expires - time.time()))
        headers = {**SAFE_HEADERS, "Cache-Control": f"private, max-age={seconds}"}
        disposition = disposition_of(link.name, link.mime_type)
        try:
            place = await attachments.files.locate(
                link.key, link.mime_type, disposition, min(seconds, STORE_SECONDS) + 1
            )
        except FileGone:
            raise NotFound("There is no such file.") from None
        if isinstance(place, Path):
            headers["Content-Disposition"] = disposition
            return FileResponse(place, media_type=link.mime_type, headers=headers)
        headers["Cache-Control"] = f"private, max-age={min(seconds, STORE_SECONDS)}"
        return RedirectResponse(place, headers=headers)

    return router


async def _check_sign_in(link: Link, authenticator: Authenticator) -> None:
    """Raise `NotFound` if the user has signed out or the account is disabled."""
    if link.user_id is None or link.sign_in is None:
        return
    if not await authenticator.is_signed_in(link.user_id, link.sign_in):
        raise NotFound("This link has expired.")


def disposition_of(name: str, mime_type: str) -> str:
    """Content-Disposition: browsers show images and save all other files."""
    kind = "inline" if mime_type in IMAGES else "attachment"
    return f"{kind}; filename*=UTF-8''{quote(name, safe='')}"
