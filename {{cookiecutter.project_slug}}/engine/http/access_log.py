"""Removes secrets from the URLs that are logged."""

import logging

# The longest path segment that is logged. Ids are shorter; a longer one is a signed link.
MAX_PART_CHARS = 64


class SecretsFilter(logging.Filter):
    """Removes query strings and signed links from uvicorn's access log."""

    def filter(self, record: logging.LogRecord) -> bool:
        match record.args:
            case (client, method, str(path), version, status):
                record.args = (client, method, loggable_path(path), version, status)
        return True


def loggable_path(path: str) -> str:
    parts = path.partition("?")[0].split("/")
    return "/".join(part if len(part) <= MAX_PART_CHARS else "…" for part in parts)
