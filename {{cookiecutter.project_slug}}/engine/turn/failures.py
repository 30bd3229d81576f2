"""Errors of a run in words for the user. Internals stay in the log."""

from collections.abc import Mapping

from agents import MaxTurnsExceeded
from chatkit.errors import BaseStreamError, CustomStreamError

from engine.http.errors import InvalidRequest
from engine.models.boundary.failures import Reason, reason_of
from engine.text.locales import ENGLISH, translate
from engine.tools.limits import TooManyToolCalls

AWAY = "The model cannot be reached right now. Please try again in a moment."


def friendly(error: Exception, locale: str = ENGLISH) -> BaseStreamError:
    """The error to end the stream with, in the user's language."""
    if isinstance(error, BaseStreamError):
        return error
    if isinstance(error, InvalidRequest):
        return CustomStreamError(translate(error.message, locale), allow_retry=False)
    message, allow_retry = _explain(error)
    return CustomStreamError(translate(message, locale), allow_retry=allow_retry)


def _explain(error: Exception) -> tuple[str, bool]:
    """A message and whether trying again may help."""
    if isinstance(error, MaxTurnsExceeded | TooManyToolCalls):
        return "This took too many steps. Please ask for something smaller.", True
    if (reason := reason_of(error)) is not None:
        return _OF_MODEL[reason]
    return "Something went wrong while answering. Please try again.", True


_OF_MODEL: Mapping[Reason, tuple[str, bool]] = {
    Reason.CREDENTIALS: (
        "The model refused this server's credentials. Please tell its operator.",
        False,
    ),
    Reason.QUOTA: ("This server has used up its account. Please tell its operator.", False),
    Reason.BUSY: ("The model is busy right now. Please try again in a moment.", True),
    Reason.SLOW: ("The model took too long to answer. Please try again.", True),
    Reason.UNAVAILABLE: (AWAY, True),
    Reason.TOO_LONG: (
        "This conversation is too long for the model. "
        "Please start a new one, or send less at once.",
        False,
    ),
    Reason.POLICY: (
        "The model's provider does not allow this request. Please put it differently.",
        False,
    ),
    Reason.NO_SUCH_MODEL: (
        "The model is not available. Please tell the operator of this server.",
        False,
    ),
    Reason.EMPTY: ("The model gave no answer. Please try again.", True),
    Reason.INTERRUPTED: ("The model broke off its answer. Please try again.", True),
    Reason.UNKNOWN: ("The model could not take this request.", False),
}
