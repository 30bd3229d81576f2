"""Domain errors and their mapping to HTTP.

Every error body has one shape: `{"error": {"code", "message", …}, "message", "request_id"}`. Some
codes add details beside the first message. The second message is the same text, because the
ChatKit element reads it there.
"""

import logging
from collections.abc import Callable, Mapping
from math import ceil
from typing import Any

from chatkit.store import NotFoundError as ChatKitNotFoundError
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from sqlalchemy.exc import IntegrityError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from engine.database.database import DatabaseUnreachable
from engine.database.users import refers_to_no_user
from engine.http.access_log import loggable_path
from engine.http.addresses import Addresses
from engine.http.audit import record
from engine.http.request_id import HEADER
from engine.telemetry.measures import refusals
from engine.text.locales import translate

logger = logging.getLogger(__name__)


class AppError(Exception):
    """Base of all errors that are sent to the client, with `message` as their text."""

    status = 500
    code = "internal_error"
    headers: Mapping[str, str] = {}
    details: Mapping[str, str] = {}

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class MalformedRequest(AppError):
    status = 400
    code = "malformed_request"


class Unauthenticated(AppError):
    """The request has no valid credentials. `message` says which are missing or wrong."""

    status = 401
    code = "unauthenticated"
    headers: Mapping[str, str] = {"WWW-Authenticate": "Bearer"}


class Forbidden(AppError):
    status = 403
    code = "forbidden"


class UserErased(Forbidden):
    """The user's data were erased, and the id does not come back."""

    code = "user_erased"


class ThreadNotWritable(Forbidden):
    code = "thread_not_writable"


class NotFound(AppError, ChatKitNotFoundError):
    """Also raised for rows of other users, so that their existence is not revealed."""

    status = 404
    code = "not_found"


class RequestTimedOut(AppError):
    """The rest of the request's body did not arrive."""

    status = 408
    code = "request_timed_out"
    headers: Mapping[str, str] = {"Connection": "close"}


class RunInProgress(AppError):
    status = 409
    code = "run_in_progress"


class RepeatedRequest(AppError):
    """The client repeated a request that is being answered or was answered."""

    status = 409
    code = "repeated_request"

    def __init__(self, thread_id: str, run_id: str) -> None:
        super().__init__("This message is being answered or has been answered already.")
        self.details = {"thread_id": thread_id, "run_id": run_id}


class RequestTooLarge(AppError):
    status = 413
    code = "request_too_large"


class MessageTooLong(AppError):
    status = 413
    code = "message_too_long"


class InvalidRequest(AppError):
    status = 422
    code = "invalid_request"


class LimitReached(AppError):
    """The client can repeat the request after `retry_after` seconds."""

    status = 429

    def __init__(self, message: str, retry_after: float) -> None:
        super().__init__(message)
        self.headers = {"Retry-After": str(max(1, ceil(retry_after)))}


class TooManyTurns(LimitReached):
    code = "too_many_turns"


class TooManyAnswers(LimitReached):
    code = "too_many_answers"


class DailyTokensUsed(LimitReached):
    code = "daily_tokens_used"


class TooManyReports(LimitReached):
    code = "too_many_reports"


class ServerBusy(LimitReached):
    code = "server_busy"


class Unavailable(AppError):
    status = 503
    code = "unavailable"
    headers: Mapping[str, str] = {"Retry-After": "5"}


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"


class ErrorDetail(BaseModel):
    """`code` is for programs and never changes; `message` is for people."""

    model_config = ConfigDict(extra="allow")

    code: str
    message: str


class ErrorBody(BaseModel):
    """`message` repeats that of `error`, because OpenAI's element reads it here."""

    error: ErrorDetail
    message: str
    request_id: str


def error_responses(*errors: type[AppError]) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that can raise these errors, for OpenAPI."""
    codes: dict[int, list[str]] = {}
    for error in errors:
        codes.setdefault(error.status, []).append(f"`{error.code}`")
    return {
        status: {"model": ErrorBody, "description": " or ".join(names)}
        for status, names in codes.items()
    }


# Takes from the browser what says that it is an erased user.
Forget = Callable[[Request, Response], None]


def install_error_handlers(
    app: FastAPI, addresses: Addresses, forget: Forget | None = None
) -> None:
    handlers = ErrorHandlers(addresses, forget)
    app.add_exception_handler(AppError, handlers.app_error)
    app.add_exception_handler(HTTPException, handlers.http_exception)
    app.add_exception_handler(RequestValidationError, handlers.validation_error)
    app.add_exception_handler(DatabaseUnreachable, handlers.database_unreachable)
    app.add_exception_handler(IntegrityError, handlers.refused_row)
    app.add_exception_handler(ClientDisconnect, _client_disconnected)
    app.add_exception_handler(Exception, handlers.unexpected)


class ErrorHandlers:
    def __init__(self, addresses: Addresses, forget: Forget | None = None) -> None:
        self._addresses = addresses
        self._forget = forget

    async def app_error(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, AppError)
        refusals.add(1, {"code": error.code})
        if error.status in (403, 429):
            user_id: str | None = getattr(request.state, "user_id", None)
            address = self._addresses.of(request)
            record("refused", address, user_id=user_id, reason=error.code)
        return self._response(request, error)

    async def http_exception(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        refusal = _refusal(error.status_code, code, str(error.detail))
        refusal.headers = dict(error.headers or {})
        return self._response(request, refusal)

    async def validation_error(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        places = ", ".join(".".join(str(part) for part in e["loc"]) for e in error.errors()[:5])
        return self._response(request, InvalidRequest(f"Not valid: {places}"))

    async def database_unreachable(self, request: Request, error: Exception) -> JSONResponse:
        return await self.app_error(request, DatabaseUnavailable(str(error)))

    async def refused_row(self, request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, IntegrityError)
        if not refers_to_no_user(error):
            return await self.unexpected(request, error)
        refusal = UserErased("The data of this user were erased.")
        response = await self.app_error(request, refusal)
        if self._forget is not None:
            self._forget(request, response)
        return response

    async def unexpected(self, request: Request, error: Exception) -> JSONResponse:
        logger.error("unexpected error on %s", loggable_path(request.url.path), exc_info=error)
        return self._response(request, AppError("Something went wrong on our side."))

    def _response(self, request: Request, refusal: AppError) -> JSONResponse:
        request_id: str = getattr(request.state, "request_id", "")
        language = request.headers.get("accept-language", "")
        message = translate(refusal.message, language)
        error = {"code": refusal.code, "message": message, **refusal.details}
        return JSONResponse(
            {"error": error, "message": message, "request_id": request_id},
            status_code=refusal.status,
            # Unexpected errors are answered outside the middleware that sets this header.
            headers={HEADER: request_id, **refusal.headers},
        )


def _refusal(status: int, code: str, message: str) -> AppError:
    refusal = AppError(message)
    refusal.status, refusal.code = status, code
    return refusal


async def _client_disconnected(_request: Request, _error: Exception) -> Response:
    """The client disconnected; nobody reads this response."""
    return Response(status_code=400)
