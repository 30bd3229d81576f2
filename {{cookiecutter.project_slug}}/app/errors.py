"""Domain errors and their one mapping to HTTP.

Every error body has one shape: `{"error": {"code", "message"}, "request_id"}`.
"""

import logging
from typing import ClassVar

from chatkit.store import NotFoundError as ChatKitNotFoundError
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException

from app.request_id import HEADER

logger = logging.getLogger(__name__)

# What a database that is down, restarting or swamped looks like from here.
# (OSError: refused, no such host or socket, timed out.)
UNREACHABLE = (OperationalError, InterfaceError, PoolTimeout, OSError)


class AppError(Exception):
    """Root of everything this application refuses. `message` is shown to the client."""

    status = 500
    code = "internal_error"
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class MalformedRequest(AppError):
    status = 400
    code = "malformed_request"


class Unauthenticated(AppError):
    status = 401
    code = "unauthenticated"
    headers: ClassVar[dict[str, str]] = {"WWW-Authenticate": "Bearer"}


class ThreadNotWritable(AppError):
    status = 403
    code = "thread_not_writable"


class NotFound(AppError, ChatKitNotFoundError):
    """Also what another user's row looks like: its existence is not revealed."""

    status = 404
    code = "not_found"


class RequestTooLarge(AppError):
    status = 413
    code = "request_too_large"


class InvalidRequest(AppError):
    status = 422
    code = "invalid_request"


class Unavailable(AppError):
    status = 503
    code = "unavailable"
    headers: ClassVar[dict[str, str]] = {"Retry-After": "5"}


def install_error_handlers(app: FastAPI) -> None:
    app.add_exception_handler(AppError, _app_error)
    app.add_exception_handler(HTTPException, _http_exception)
    app.add_exception_handler(RequestValidationError, _validation_error)
    for kind in UNREACHABLE:
        app.add_exception_handler(kind, _unreachable)
    app.add_exception_handler(Exception, _unexpected)


def error_response(
    request: Request, status: int, code: str, message: str, headers: dict[str, str] | None = None
) -> JSONResponse:
    request_id: str = getattr(request.state, "request_id", "")
    return JSONResponse(
        {"error": {"code": code, "message": message}, "request_id": request_id},
        status_code=status,
        # Here too: what answers the unexpected stands outside the middleware that sets it.
        headers={HEADER: request_id, **(headers or {})},
    )


async def _app_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, AppError)
    return error_response(request, error.status, error.code, error.message, error.headers)


async def _http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
    return error_response(request, error.status_code, code, str(error.detail), _headers(error))


async def _validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    places = ", ".join(".".join(str(part) for part in e["loc"]) for e in error.errors()[:5])
    return error_response(request, 422, "invalid_request", f"Not valid: {places}")


async def _unreachable(request: Request, error: Exception) -> JSONResponse:
    logger.error("the database is not reachable: %s", type(error).__name__)
    return await _app_error(request, Unavailable("The database is not reachable right now."))


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    logger.error("unexpected error on %s", request.url.path, exc_info=error)
    return error_response(request, 500, "internal_error", "Something went wrong on our side.")


def _headers(error: HTTPException) -> dict[str, str]:
    return dict(error.headers or {})
