"""Selects the attachments that are sent to the model, within a limit of tokens."""

import base64
from collections.abc import Iterator, Sequence

from chatkit.types import Attachment, ThreadItem, UserMessageItem
from openai.types.responses import (
    ResponseInputContentParam,
    ResponseInputFileParam,
    ResponseInputImageParam,
    ResponseInputTextParam,
)

from engine.attachments.files import FileGone, FileStore, FilesUnavailable, key_of
from engine.attachments.types import IMAGES, PDF, TEXTS
from engine.options import Reader, mention
from engine.text.tokens import BYTES_PER_TOKEN

# Estimates, because only the model counts exactly. OpenAI's models use about this many tokens for a
# picture, and read each page of a PDF as text and as a picture.
IMAGE_TOKENS = 1_500
PDF_TOKENS = 1_500
PDF_BYTES_PER_TOKEN = 100

# The limit for all files of a request: OpenAI accepts 50 MB, of which base64 takes a third.
MAX_BYTES = 32_000_000


def read_within(
    files: FileStore, newest_first: Sequence[ThreadItem], room: int, user_id: str
) -> Reader:
    """The reader for the model: prefers the newest files, and cuts texts that are too long."""
    budget = _budget(newest_first, room)

    async def read(attachment: Attachment) -> ResponseInputContentParam:
        tokens = budget.get(attachment.id, 0)
        if not tokens:
            return await mention(attachment)
        try:
            content = await files.read(key_of(user_id, attachment.id))
        except FileGone:
            return _text(f"[attached: {attachment.name}, which is no longer there]")
        except FilesUnavailable:
            # If the store fails, the turn goes on without the file.
            return _text(f"[attached: {attachment.name}, which cannot be read at the moment]")
        return content_of(attachment, content, tokens)

    return read


def content_of(attachment: Attachment, content: bytes, tokens: int) -> ResponseInputContentParam:
    """A part of the model's input, of at most about `tokens` tokens."""
    if attachment.mime_type in TEXTS:
        return _text_file(attachment.name, content, tokens)
    url = f"data:{attachment.mime_type};base64,{base64.b64encode(content).decode()}"
    if attachment.mime_type in IMAGES:
        return ResponseInputImageParam(type="input_image", detail="auto", image_url=url)
    return ResponseInputFileParam(type="input_file", filename=attachment.name, file_data=url)


def _budget(newest_first: Sequence[ThreadItem], room: int) -> dict[str, int]:
    budget: dict[str, int] = {}
    bytes_left = MAX_BYTES
    for attachment in _attachments(newest_first):
        size = int((attachment.metadata or {}).get("bytes", 0))
        cost = _cost(attachment.mime_type, size)
        if attachment.mime_type in TEXTS:
            cost = min(cost, room)
        if 0 < cost <= room and size <= bytes_left:
            budget[attachment.id] = cost
            room -= cost
            bytes_left -= size
    return budget


def _attachments(items: Sequence[ThreadItem]) -> Iterator[Attachment]:
    for item in items:
        if isinstance(item, UserMessageItem):
            yield from item.attachments


def _cost(mime_type: str, size: int) -> int:
    """The estimated number of tokens; 0 for types that no model reads."""
    if mime_type in IMAGES:
        return IMAGE_TOKENS
    if mime_type == PDF:
        return max(PDF_TOKENS, size // PDF_BYTES_PER_TOKEN)
    if mime_type in TEXTS:
        return size // BYTES_PER_TOKEN + 1
    return 0


def _text_file(name: str, content: bytes, tokens: int) -> ResponseInputContentParam:
    most = tokens * BYTES_PER_TOKEN
    text = content[:most].decode("utf-8", "ignore")
    cut = f"\n[cut: this is the beginning of {len(content)} bytes]" if len(content) > most else ""
    return _text(f"[attached: {name}]\n{text}{cut}\n[end of {name}]")


def _text(text: str) -> ResponseInputTextParam:
    return ResponseInputTextParam(type="input_text", text=text)
