"""Classifies models' errors, both of refused requests and inside a stream."""

import re
from collections.abc import Mapping
from enum import Enum, auto
from typing import Any

import openai
from agents import ModelBehaviorError, ModelTimeoutError


class Reason(Enum):
    """A kind of failure with its own message for the user."""

    CREDENTIALS = auto()
    QUOTA = auto()
    BUSY = auto()
    SLOW = auto()
    UNAVAILABLE = auto()
    TOO_LONG = auto()
    POLICY = auto()
    NO_SUCH_MODEL = auto()
    EMPTY = auto()
    INTERRUPTED = auto()
    UNKNOWN = auto()


class ModelFailure(Exception):
    """An error that the model's server reported inside its stream.

    `code` and `message` are the server's, for example `rate_limit_exceeded`; the message is only
    for logs.
    """

    def __init__(self, code: str | None, message: str = "", kind: str | None = None) -> None:
        super().__init__(message or code or "The model failed.")
        self.code = code
        self.kind = kind


class EmptyAnswer(Exception):
    """The model's answer has no visible text."""


# Error codes and types of OpenAI, Anthropic, Google and compatible servers.
_BY_NAME: Mapping[str, Reason] = {
    "account_deactivated": Reason.QUOTA,
    "authentication_error": Reason.CREDENTIALS,
    "billing_hard_limit_reached": Reason.QUOTA,
    "billing_not_active": Reason.QUOTA,
    "bio_policy": Reason.POLICY,
    "content_filter": Reason.POLICY,
    "content_policy_violation": Reason.POLICY,
    "context_length_exceeded": Reason.TOO_LONG,
    "context_window_exceeded": Reason.TOO_LONG,
    "deploymentnotfound": Reason.NO_SUCH_MODEL,
    "engine_overloaded": Reason.BUSY,
    "exceeded_current_quota_error": Reason.QUOTA,
    "image_content_policy_violation": Reason.POLICY,
    "insufficient_balance": Reason.QUOTA,
    "insufficient_quota": Reason.QUOTA,
    "invalid_api_key": Reason.CREDENTIALS,
    "invalid_prompt": Reason.POLICY,
    "misalignment_policy_violation": Reason.POLICY,
    "model_not_found": Reason.NO_SUCH_MODEL,
    "moderation_blocked": Reason.POLICY,
    "overloaded_error": Reason.BUSY,
    "permission_error": Reason.CREDENTIALS,
    "quota_exceeded": Reason.QUOTA,
    "rate_limit_error": Reason.BUSY,
    "rate_limit_exceeded": Reason.BUSY,
    "request_too_large": Reason.TOO_LONG,
    "resource_exhausted": Reason.BUSY,
    "responsibleaipolicyviolation": Reason.POLICY,
    "server_error": Reason.UNAVAILABLE,
    "server_is_overloaded": Reason.BUSY,
    "service_unavailable": Reason.UNAVAILABLE,
    "slow_down": Reason.BUSY,
    "string_above_max_length": Reason.TOO_LONG,
    "too_many_requests": Reason.BUSY,
    "unavailable": Reason.UNAVAILABLE,
}

# Patterns for messages without a known code. The first match counts.
_BY_TEXT: tuple[tuple[re.Pattern[str], Reason], ...] = (
    (
        re.compile(
            r"context.?(length|window|size)|maximum.{0,40}tokens|too many (input )?tokens"
            r"|(prompt|input|request) is too (long|large)|reduce the length",
            re.I,
        ),
        Reason.TOO_LONG,
    ),
    (re.compile(r"(insufficient|exceeded).{0,30}(balance|credit|quota)", re.I), Reason.QUOTA),
    (
        re.compile(r"content.{0,10}(policy|management|filter)|usage policy|moderation", re.I),
        Reason.POLICY,
    ),
)

_BY_STATUS: Mapping[int, Reason] = {
    401: Reason.CREDENTIALS,
    402: Reason.QUOTA,
    403: Reason.CREDENTIALS,
    408: Reason.SLOW,
    413: Reason.TOO_LONG,
    429: Reason.BUSY,
}


def reason_of(error: BaseException) -> Reason | None:
    """The reason of a model's failure; None for an error that is not the model's."""
    match error:
        case openai.APITimeoutError() | ModelTimeoutError():
            return Reason.SLOW
        case openai.APIConnectionError():
            return Reason.UNAVAILABLE
        case openai.APIStatusError():
            return _by_name(error) or _by_status(error.status_code)
        case openai.APIError() | ModelFailure():
            return _by_name(error) or Reason.INTERRUPTED
        case EmptyAnswer():
            return Reason.EMPTY
        case ModelBehaviorError():
            return Reason.INTERRUPTED
    return None


def reason_name(error: BaseException) -> str:
    """The reason in one word for metrics and traces; the class of an error that is not the model's."""
    reason = reason_of(error)
    return type(error).__qualname__ if reason is None else reason.name.lower()


def _by_name(error: BaseException) -> Reason | None:
    """The reason according to the error's code, type or text."""
    for name in (getattr(error, "code", None), getattr(error, "type", None), *_kinds(error)):
        if name and (reason := _BY_NAME.get(str(name).lower().replace(" ", "_"))) is not None:
            return reason
    text = error_text(error)
    return next((reason for pattern, reason in _BY_TEXT if pattern.search(text)), None)


def error_text(error: BaseException) -> str:
    """The server's text about the error, to be searched."""
    return f"{error} {getattr(error, 'param', None) or ''} {getattr(error, 'body', None) or ''}"


def failure_in(event: Any) -> ModelFailure:
    """The error of an `error` or `response.failed` event."""
    error = getattr(getattr(event, "response", None), "error", None)
    error = error or getattr(event, "error", None) or event
    if isinstance(error, str):
        return ModelFailure(None, error)
    fields = error if isinstance(error, dict) else vars(error)
    code, message, kind = (fields.get(name) for name in ("code", "message", "type"))
    return ModelFailure(_text(code), _text(message) or "", _text(kind))


def _kinds(error: BaseException) -> tuple[str | None, ...]:
    return (error.kind,) if isinstance(error, ModelFailure) else ()


def _by_status(status: int) -> Reason:
    return Reason.UNAVAILABLE if status >= 500 else _BY_STATUS.get(status, Reason.UNKNOWN)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
