"""Addresses of requests in logs: without what only their sender may know."""

import logging

# Of a part of a path. Ids are shorter; a longer one is a signed link, good for whoever has it.
LONGEST_PART = 64


class WithoutSecrets(logging.Filter):
    """For uvicorn's access log, which has queries too: codes, states, ids of conversations."""

    def filter(self, record: logging.LogRecord) -> bool:
        match record.args:
            case (client, method, str(path), version, status):
                record.args = (client, method, loggable_path(path), version, status)
        return True


def loggable_path(path: str) -> str:
    parts = path.partition("?")[0].split("/")
    return "/".join(part if len(part) <= LONGEST_PART else "…" for part in parts)
