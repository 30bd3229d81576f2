"""`POST /chatkit`: user and body, then process, then response. And what concerns its runs."""

import re
from contextlib import suppress
from typing import Annotated, Any, Literal

from chatkit.server import NonStreamingResult
from chatkit.types import InputTranscribeReq
from fastapi import APIRouter, Depends, Request, Response
from pydantic import BaseModel

from engine.auth.base import User
from engine.auth.current import SignedIn
from engine.context.request_context import RequestContext
from engine.http.errors import (
    AppError,
    DailyTokensUsed,
    DatabaseUnavailable,
    Forbidden,
    InvalidRequest,
    MalformedRequest,
    MessageTooLong,
    NotFound,
    RepeatedRequest,
    RequestTimedOut,
    RequestTooLarge,
    RunInProgress,
    ServerBusy,
    ThreadNotWritable,
    TooManyAnswers,
    TooManyTurns,
    Unauthenticated,
    Unavailable,
    UserErased,
    error_responses,
)
from engine.http.event_stream import EventStream
from engine.http.home import home_url
from engine.http.request_body import read_body, too_large
from engine.protocol.admission import Admission
from engine.protocol.requests import ChatRequest, parse
from engine.runs.budgets import BudgetUsed
from engine.text.unicode import storable
from engine.turn.server import ChatServer

RUN_ID_HEADER = "X-Run-ID"
_REQUEST_KEY = re.compile(r"[\w.:-]{1,128}", re.ASCII)


# What the SDK makes of a request, for OpenAPI: it has its own description of the kinds.
PROTOCOL: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"type": {"type": "string"}, "params": {"type": "object"}},
                    "required": ["type"],
                }
            }
        },
    }
}
ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "JSON, or events while an answer is written",
        "content": {"text/event-stream": {"schema": {"type": "string"}}},
    }
}


class RunningRun(BaseModel):
    id: str
    status: Literal["running"] = "running"


class ThreadRun(BaseModel):
    run: RunningRun | None


def routes(server: ChatServer, admission: Admission, signed_in: SignedIn) -> APIRouter:
    parts, runs, run_store = server.parts, admission.runs, admission.run_store
    router = APIRouter(
        responses=error_responses(
            Unauthenticated, Forbidden, NotFound, InvalidRequest, Unavailable, DatabaseUnavailable
        )
    )

    @router.post(
        "/chatkit",
        openapi_extra=PROTOCOL,
        responses=ANSWERS
        | error_responses(
            MalformedRequest,
            *(Forbidden, ThreadNotWritable, UserErased),
            *(RunInProgress, RepeatedRequest),
            RequestTimedOut,
            *(RequestTooLarge, MessageTooLong),
            *(TooManyTurns, TooManyAnswers, DailyTokensUsed, BudgetUsed, ServerBusy),
        ),
    )
    async def chatkit(request: Request, user: Annotated[User, Depends(signed_in)]) -> Response:
        """One request of ChatKit's protocol, as the page's element sends it."""
        # A dictation is longer than a written message.
        spoken = parts.dictation.max_body_bytes if parts.dictation else 0
        longest = max(parts.settings.max_body_bytes, spoken)
        chat_request = _parsed(await read_body(request, longest), parts.settings.max_body_bytes)
        context = await admission.admit(
            chat_request.request,
            RequestContext(
                user_id=user.id,
                session_id=chat_request.session_id,
                page=chat_request.page,
                locale=_locale(request),
                request_id=request.state.request_id,
                base_url=home_url(request),
                request_key=_request_key(request),
                address=user.address,
                sign_in=user.sign_in,
            ),
        )
        result = await server.answer(chat_request.request, context)
        if isinstance(result, NonStreamingResult):
            return Response(result.json, media_type="application/json")
        assert context.run is not None
        return EventStream(
            runs.start(context.run, result.json_events, context.locale),
            parts.settings.keep_alive_seconds,
            headers={RUN_ID_HEADER: context.run.id},
        )

    @router.post("/chatkit/runs/{run_id}/stop", status_code=204)
    async def stop(run_id: str, user: Annotated[User, Depends(signed_in)]) -> None:
        """End the answer where it is; what was said is kept."""
        await runs.send(user.id, storable(run_id), "stop")

    @router.post("/chatkit/runs/{run_id}/leave", status_code=204)
    async def leave(run_id: str, user: Annotated[User, Depends(signed_in)]) -> None:
        """Let the answer go on without its page: `sendBeacon` sends this on `pagehide`."""
        await runs.send(user.id, storable(run_id), "leave")

    @router.get("/chatkit/threads/{thread_id}/run")
    async def running(thread_id: str, user: Annotated[User, Depends(signed_in)]) -> ThreadRun:
        """The run that answers in this thread just now, if any."""
        thread = await parts.store.load_thread(storable(thread_id), RequestContext(user.id))
        run_id = await run_store.running(user.id, thread.id)
        return ThreadRun(run=RunningRun(id=run_id) if run_id else None)

    return router


def _parsed(body: bytes, limit: int) -> ChatRequest:
    """Only a dictation may be longer than the limit."""
    if len(body) <= limit:
        return parse(body)
    with suppress(AppError):
        chat_request = parse(body)
        if isinstance(chat_request.request, InputTranscribeReq):
            return chat_request
    raise too_large(limit)


def _request_key(request: Request) -> str | None:
    """The client's key of a request. A repeat has the same key, a new request another one."""
    key = request.headers.get("idempotency-key")
    if key is not None and not _REQUEST_KEY.fullmatch(key):
        raise InvalidRequest("Idempotency-Key: 1 to 128 letters, digits or . : _ - are allowed.")
    return key


def _locale(request: Request) -> str:
    """The one locale that the widget sends, for example `de-DE`."""
    first = request.headers.get("accept-language", "").split(",")[0].split(";")[0].strip()
    return first if 0 < len(first) <= 35 and first.replace("-", "").isalnum() else "en"
