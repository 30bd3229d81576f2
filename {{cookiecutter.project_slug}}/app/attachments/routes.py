"""`GET /attachments/…`: a file, for whoever holds a link to it that has not expired."""

import time
from pathlib import Path
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, RedirectResponse

from app.attachments.files import FileGone
from app.attachments.service import FileAttachments
from app.attachments.types import IMAGES
from app.errors import NotFound

router = APIRouter(include_in_schema=False)

# Whatever a file claims to be, it is no page of this site: it runs nothing. (That browsers do not
# guess at its type, every response of the application says.)
SAFE = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",  # the widget's frame is another site
}


@router.get("/attachments/{token}")
async def file(token: str, request: Request) -> Response:
    attachments: FileAttachments = request.app.state.attachments
    link = attachments.links.open(token)
    seconds = max(0, int(link.expires - time.time()))
    headers = {**SAFE, "Cache-Control": f"private, max-age={seconds}"}
    disposition = disposition_of(link.name, link.mime_type)
    try:
        place = await attachments.files.locate(link.key, link.mime_type, disposition, seconds + 1)
    except FileGone:
        raise NotFound("There is no such file.") from None
    if isinstance(place, Path):
        headers["Content-Disposition"] = disposition
        return FileResponse(place, media_type=link.mime_type, headers=headers)
    return RedirectResponse(place, headers=headers)


def disposition_of(name: str, mime_type: str) -> str:
    """Images are shown; anything else is only ever saved."""
    kind = "inline" if mime_type in IMAGES else "attachment"
    return f"{kind}; filename*=UTF-8''{quote(name, safe='')}"
