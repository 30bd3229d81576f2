"""`POST /chatkit`: user and body, then process, then response."""

from typing import Annotated

from chatkit.server import StreamingResult
from fastapi import APIRouter, Depends, Request, Response

from app.auth.current import CurrentUser
from app.chat.admission import Admission
from app.chat.context import RequestContext
from app.chat.events import EventStream
from app.chat.requests import parse
from app.chat.server import ChatServer
from app.config import Settings
from app.errors import RequestTooLarge

router = APIRouter()


def _chat(request: Request) -> ChatServer:
    chat: ChatServer = request.app.state.chat
    return chat


def _admission(request: Request) -> Admission:
    admission: Admission = request.app.state.admission
    return admission


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


Chat = Annotated[ChatServer, Depends(_chat)]
Admit = Annotated[Admission, Depends(_admission)]
AppSettings = Annotated[Settings, Depends(_settings)]


@router.post("/chatkit")
async def chatkit(
    request: Request, user: CurrentUser, chat: Chat, admission: Admit, settings: AppSettings
) -> Response:
    chat_request = parse(await _body(request, settings.max_body_bytes))
    context = await admission.admit(
        chat_request.request,
        RequestContext(
            user_id=user.id,
            session_id=chat_request.session_id,
            locale=_locale(request),
            request_id=request.state.request_id,
        ),
    )
    result = await chat.answer(chat_request.request, context)
    if isinstance(result, StreamingResult):
        return EventStream(result.json_events, settings.keep_alive_seconds)
    return Response(result.json, media_type="application/json")


async def _body(request: Request, limit: int) -> bytes:
    """The whole body. Raises `RequestTooLarge` as soon as it is known to be."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def _too_large(limit: int) -> RequestTooLarge:
    return RequestTooLarge(f"A request has at most {limit} bytes.")


def _locale(request: Request) -> str:
    """The one locale that the widget sends, for example `de-DE`."""
    first = request.headers.get("accept-language", "").split(",")[0].split(";")[0].strip()
    return first if 0 < len(first) <= 35 and first.replace("-", "").isalnum() else "en"
