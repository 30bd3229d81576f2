"""Logging: one line per record, with the request id, and without message text or credentials."""

import logging
import traceback
from collections.abc import Iterator
from typing import Any

from engine.http.access_log import SecretsFilter
from engine.http.request_id import current_request_id

# Libraries that may log whole requests, and so the text of messages, at INFO and below.
QUIET_LOGGERS = ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "openai.agents")


class RedactedRecord(logging.LogRecord):
    """Logs the class and the traceback of an exception, and leaves its message out.

    The message may quote what users wrote: a model's server repeats the request that it refuses, a
    database the row. This applies to every logger of the process, also those of libraries.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if isinstance(self.msg, BaseException):
            self.msg = _name(self.msg)
        if isinstance(self.args, tuple):
            self.args = tuple(_name(a) if isinstance(a, BaseException) else a for a in self.args)
        if self.exc_info and self.exc_info[1] is not None:
            self.exc_text = "".join(_formatted(self.exc_info[1])).rstrip()


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        return True


def configure_logging(level: str) -> None:
    logging.setLogRecordFactory(RedactedRecord)
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
    # Replaced and not added: a process may build several applications.
    logging.getLogger("uvicorn.access").filters = [SecretsFilter()]
    # Audit events are logged at every LOG_LEVEL.
    logging.getLogger("engine.audit").setLevel(logging.INFO)
    for name in QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)


def _formatted(error: BaseException, visited: frozenset[int] = frozenset()) -> Iterator[str]:
    """The tracebacks of an exception and of its causes, the first cause first.

    `visited` ends cycles: an exception that a library keeps and raises again is its own cause.
    """
    visited |= {id(error)}
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and id(cause) not in visited:
        yield from _formatted(cause, visited)
        yield "which led to\n"
    yield from traceback.format_tb(error.__traceback__)
    yield f"{_name(error)}\n"
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _formatted(part, visited)


def _name(error: BaseException) -> str:
    """The class of an exception, and its HTTP status or SQLSTATE if it has one."""
    code = getattr(error, "status_code", None) or getattr(error, "sqlstate", None)
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    return f"{name} ({code})" if isinstance(code, int | str) else name
