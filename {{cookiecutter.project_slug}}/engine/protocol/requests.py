"""A request body becomes a validated ChatKit request, before any stream opens."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from chatkit.types import (
    ChatKitReq,
    InferenceOptions,
    ThreadsAddUserMessageReq,
    ThreadsCreateReq,
    ToolChoice,
    UserMessageInput,
    UserMessageTextContent,
)
from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from engine.http.errors import InvalidRequest, MalformedRequest
from engine.text.unicode import storable
from engine.turn.page_context import read_page_context

# One adapter for the process: building it takes about as long as answering a request.
_REQUEST: TypeAdapter[ChatKitReq] = TypeAdapter(ChatKitReq)

_SESSION_ID = re.compile(r"[\w.:-]{1,128}")
_TOOL_PREFIX = re.compile(r"\s*\[TOOL:([\w-]+)\]\s*")


@dataclass(frozen=True)
class ChatRequest:
    """The SDK's request, and what came beside it: the page's session and context."""

    request: ChatKitReq
    session_id: str | None
    page: Mapping[str, str]


def parse(body: bytes) -> ChatRequest:
    """Read a request body. Raises `MalformedRequest` (not JSON) or `InvalidRequest`."""
    try:
        document = storable(from_json(body, allow_inf_nan=False))
    except ValueError:
        raise MalformedRequest("The body is not JSON.") from None
    if not isinstance(document, dict):
        raise InvalidRequest("body: this is no JSON object.")
    try:
        request = _REQUEST.validate_python(document)
    except ValidationError as error:
        raise InvalidRequest(_first_problem(error)) from None
    if isinstance(request, ThreadsCreateReq | ThreadsAddUserMessageReq):
        _take_tool_prefix(request.params.input)
    return ChatRequest(request, _session_id(document), read_page_context(document.get("metadata")))


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False, include_context=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    return f"Not a ChatKit request: {place or 'body'}: {problem['msg']}."


def _session_id(document: dict[str, Any]) -> str | None:
    metadata = document.get("metadata")
    value = document.get("session_id") or (
        metadata.get("session_id") if isinstance(metadata, dict) else None
    )
    if value is None:
        return None
    if not isinstance(value, str) or not _SESSION_ID.fullmatch(value):
        raise InvalidRequest("session_id: 1 to 128 letters, digits or . : _ - are allowed.")
    return value


def _take_tool_prefix(message: UserMessageInput) -> None:
    """`[TOOL:name] text` picks a tool, like the composer's menu; the text is stored without it."""
    first = message.content[0] if message.content else None
    if not isinstance(first, UserMessageTextContent):
        return
    if (prefix := _TOOL_PREFIX.match(first.text)) is None:
        return
    first.text = first.text[prefix.end() :]
    message.inference_options = InferenceOptions(
        model=message.inference_options.model, tool_choice=ToolChoice(id=prefix[1])
    )
