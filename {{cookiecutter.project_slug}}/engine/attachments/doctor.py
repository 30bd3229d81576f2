"""The finding of `python3 -m app doctor` about pictures: how the page shows them."""

from engine.attachments.inline import is_private
from engine.attachments.settings import AttachmentSettings
from engine.settings.finding import Finding

NAME = "pictures"


def check() -> Finding:
    limits = AttachmentSettings()
    if limits.public_url is not None and not is_private(limits.public_url):
        return Finding("ok", f"shown from {limits.public_url}")
    return Finding(
        "ok",
        "loaded by links at a public address. At a loopback or private address, browsers do not "
        f"let OpenAI's frame load them, so pictures of at most {limits.inline_bytes} bytes "
        "(ATTACHMENT_INLINE_BYTES) are sent inside responses and larger ones have no preview",
    )
