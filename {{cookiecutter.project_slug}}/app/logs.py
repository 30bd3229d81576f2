"""Logs: one line a record, with the request it belongs to. Never message text or credentials."""

import logging

from app.request_id import current_request_id

# These log whole requests, and with them what people said, at INFO and below.
QUIET = ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "openai.agents")


class RequestIdFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = current_request_id.get()
        return True


def configure_logging(level: str) -> None:
    handler = logging.StreamHandler()
    handler.addFilter(RequestIdFilter())
    handler.setFormatter(
        logging.Formatter("%(asctime)s %(levelname)s %(name)s [%(request_id)s] %(message)s")
    )
    root = logging.getLogger("app")
    root.handlers = [handler]
    root.setLevel(level)
    root.propagate = False
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
