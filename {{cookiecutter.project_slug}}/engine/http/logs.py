"""Logs: one line a record, with the request it belongs to. Never message text or credentials."""

import logging
import traceback
from collections.abc import Iterator
from typing import Any

from engine.http.access_log import WithoutSecrets
from engine.http.request_id import current_request_id

# These can be told to log whole requests, and with them what people said, at INFO and below.
QUIET = ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "openai.agents")


class DiscreetRecord(logging.LogRecord):
    """Says of an exception what it is and where it was raised, and not what it says.

    Its message may quote what people said: a model's server repeats the request that it refuses,
    a database the row. This holds for every logger of the process, those of libraries included.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(self.msg, BaseException):
            self.msg = _name(self.msg)
        if isinstance(self.args, tuple):
            self.args = tuple(_name(a) if isinstance(a, BaseException) else a for a in self.args)
        if self.exc_info and self.exc_info[1] is not None:
            self.exc_text = "".join(_story(self.exc_info[1])).rstrip()


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        return True


def configure_logging(level: str) -> None:
    logging.setLogRecordFactory(DiscreetRecord)
    handler = logging.StreamHandler()
    handler.addFilter(RequestIdFilter())
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s")
    )
    for package in ("app", "engine"):
        logger = logging.getLogger(package)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
    # (One filter, however many applications a process builds.)
    logging.getLogger("uvicorn.access").filters = [WithoutSecrets()]
    # They are for those who look after the application, who may want no others.
    logging.getLogger("engine.audit").setLevel(logging.INFO)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _story(error: BaseException, told: frozenset[int] = frozenset()) -> Iterator[str]:
    """The tracebacks of an exception and of those that led to it, the first one first.

    Libraries that keep an exception and raise it again make it the cause of itself: `told` ends
    that.
    """
    told |= {id(error)}
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in told:
        yield from _story(before, told)
        yield "which led to\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{_name(error)}\n"
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _story(part, told)


def _name(error: BaseException) -> str:
    """Its class, and the code that an API or a database gave it."""
    code = getattr(error, "status_code", None) or getattr(error, "sqlstate", None)
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    return f"{name} ({code})" if isinstance(code, int | str) else name
