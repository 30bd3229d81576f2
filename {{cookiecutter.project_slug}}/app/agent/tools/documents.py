"""The files that the user attached to this conversation, read as text."""

import re
from typing import cast

from agents import RunContextWrapper
from chatkit.types import Attachment

from engine import AgentTool, DemoCall, TurnContext, agent_function
from engine.attachments.files import FileGone
from engine.attachments.service import FileAttachments
from engine.attachments.types import DOCX
from engine.toolkits.documents import Unreadable, read_document

PART_CHARS = 15_000

Turn = RunContextWrapper[TurnContext]


@agent_function
async def list_files(turn: Turn) -> str:
    """List the files that the user attached to this conversation, with their numbers."""
    files = await _files(turn)
    lines = (f"{number}: {file.name} ({_size(file)})" for number, file in enumerate(files, 1))
    return "\n".join(lines) or "Nothing is attached to this conversation."


@agent_function
async def read_file(turn: Turn, number: int, part: int = 1) -> str:
    """Read the text of a file that the user attached: PDF, Word, Markdown, HTML or text.

    Args:
        number: The file's number in the result of list_files; the oldest file is 1.
        part: The number of the part of a long file, from 1.
    """
    files = await _files(turn)
    if not 1 <= number <= len(files):
        return f"There is no file {number}. There are {len(files)}."
    file = files[number - 1]
    if file.mime_type.startswith("image/"):
        return f"{file.name} is a picture: there is no text to read."
    try:
        content = await _attachments(turn).read(file, turn.context.request_context)
        text = await read_document(content, file.mime_type, turn.context.user_id)
    except FileGone:
        return f"{file.name} is no longer there."
    except Unreadable as error:
        return f"{file.name} cannot be read: {error}."
    return _part(file.name, text, part)


def _part(name: str, text: str, part: int) -> str:
    parts = -(-len(text) // PART_CHARS)
    if not 1 <= part <= parts:
        return f"{name} has {parts} parts."
    start = (part - 1) * PART_CHARS
    return f"{name}, part {part} of {parts}:\n{text[start : start + PART_CHARS]}"


async def _files(turn: Turn) -> list[Attachment]:
    return await _attachments(turn).in_thread(turn.context.thread.id, turn.context.request_context)


def _attachments(turn: Turn) -> FileAttachments:
    return cast("FileAttachments", turn.context.attachments)


def _size(file: Attachment) -> str:
    return f"{file.mime_type}, {(file.metadata or {}).get('bytes', 0)} bytes"


def _demo(text: str) -> DemoCall | None:
    if found := re.search(r"\bread\b.*?\bfile (\d+)", text, re.I):
        return DemoCall("read_file", {"number": int(found[1])})
    if re.search(r"\b(?:read|say|says|summari[sz]e)\b.*\bfiles?\b|\bfile\b.*\bsays?\b", text, re.I):
        return DemoCall("read_file", {"number": 1})
    if re.search(r"\b(?:list|show|which|what)\b.*\bfiles\b", text, re.I):
        return DemoCall("list_files", {})
    return None


DOCUMENTS = AgentTool(
    id="documents",
    label="Documents",
    icon="document",
    functions=(list_files, read_file),
    placeholder="Ask about the files that you attached",
    prompt="What does the file say that I attached?",
    titles={"list_files": "Looking at your files", "read_file": "Reading your file"},
    reads=(DOCX,),
    demo=_demo,
    demo_default=DemoCall("list_files", {}),
)
