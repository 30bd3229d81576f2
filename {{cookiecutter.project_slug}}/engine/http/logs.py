"""Logging: one line per record as text or JSON, without message text or credentials."""

import json
import logging
from datetime import UTC, datetime

from engine.http.access_log import SecretsFilter
from engine.settings.settings import LogErrors, LogFormat
from engine.telemetry.ids import current_ids, current_request_id
from engine.telemetry.log_records import RedactedRecord

# Libraries that may log whole requests, and so the text of messages, at INFO and below.
QUIET_LOGGERS = ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "openai.agents")
# uvicorn's own handlers, which it has set up before it imports the application.
SERVER_LOGGERS = ("uvicorn", "uvicorn.access")


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        return True


class JsonFormatter(logging.Formatter):
    """One object per line. Libraries' formatters add every `extra` of a record, which may hold
    texts; this one has these fields and no others.
    """

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **current_ids(),
        }
        if exception := _exception_text(self, record):
            entry["exception"] = exception
        return json.dumps(entry, ensure_ascii=False)


def _exception_text(formatter: logging.Formatter, record: logging.LogRecord) -> str | None:
    return formatter.formatException(record.exc_info) if record.exc_info else record.exc_text


def configure_logging(
    level: str, *, log_format: LogFormat = "text", errors: LogErrors = "reasons"
) -> None:
    logging.setLogRecordFactory(RedactedRecord if errors == "reasons" else logging.LogRecord)
    handler = logging.StreamHandler()
    handler.addFilter(RequestIdFilter())
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s")
    )
    if log_format == "json":
        handler.setFormatter(JsonFormatter())
        _write_json(handler)
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


def _write_json(handler: logging.Handler) -> None:
    """Also what the server and libraries log."""
    for name in SERVER_LOGGERS:
        for theirs in logging.getLogger(name).handlers:
            theirs.setFormatter(handler.formatter)
    root = logging.getLogger()
    if not root.handlers:  # otherwise Python prints the warnings of libraries as text
        root.addHandler(handler)
