"""Log records without message texts of exceptions, which may quote what people and models said."""

import copy
import logging
import re
import traceback
from collections.abc import Iterator
from typing import Any

from engine.telemetry.reasons import reason_of_error

# asyncio writes the exception of a task that nobody awaited into its message.
TASKS_EXCEPTION = re.compile(r"\bexception=.*", re.DOTALL)


class RedactedRecord(logging.LogRecord):
    """Has the reason and the traceback of an exception, and leaves its message out.

    This applies to every logger of the process, also those of libraries, and to every handler: the
    exception itself is not part of the record.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        redact(self)


def redacted(record: logging.LogRecord) -> logging.LogRecord:
    """A copy that is redacted, of a record that may be."""
    changed = copy.copy(record)
    redact(changed)
    return changed


def redact(record: logging.LogRecord) -> None:
    if isinstance(record.msg, BaseException):
        record.msg = reason_of_error(record.msg)
    elif record.name == "asyncio":
        record.msg, record.args = TASKS_EXCEPTION.sub("…>", record.getMessage()), None
    if isinstance(record.args, tuple):
        record.args = tuple(
            reason_of_error(a) if isinstance(a, BaseException) else a for a in record.args
        )
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = "".join(_formatted(record.exc_info[1])).rstrip()
        record.exc_info = None


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
    yield f"{reason_of_error(error)}\n"
    if isinstance(error, BaseExceptionGroup):
        for part in error.exceptions:
            yield from _formatted(part, visited)
