"""What went wrong in a run, in words for the user. Internals stay in the log."""

import openai
from agents import MaxTurnsExceeded, ModelBehaviorError, ModelTimeoutError
from chatkit.errors import BaseStreamError, CustomStreamError

from app.agent.limits import TooManyToolCalls
from app.errors import InvalidRequest
from app.locales import ENGLISH, translate

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
    match error:
        case openai.AuthenticationError() | openai.PermissionDeniedError():
            return "The model refused this server's credentials. Please tell its operator.", False
        case openai.RateLimitError(code="insufficient_quota"):
            return "This server has used up its account. Please tell its operator.", False
        case openai.RateLimitError():
            return "The model is busy right now. Please try again in a moment.", True
        case openai.APITimeoutError() | ModelTimeoutError():
            return "The model took too long to answer. Please try again.", True
        case openai.APIConnectionError():
            return AWAY, True
        case openai.APIStatusError(status_code=status) if status >= 500:
            return AWAY, True
        case openai.APIStatusError():
            return "The model could not take this request.", False
        case openai.APIError() | ModelBehaviorError():
            return "The model broke off its answer. Please try again.", True
        case MaxTurnsExceeded() | TooManyToolCalls():
            return "This took too many steps. Please ask for something smaller.", True
    return "Something went wrong while answering. Please try again.", True
