"""Addresses of requests in logs: without what only their sender may know."""

import logging

# What stands behind these is a signed link, good for whoever has it.
SECRET_PATHS = ("/attachments/",)


class WithoutSecrets(logging.Filter):
    """For uvicorn's access log, which has queries too: codes, states, ids of conversations."""

    def filter(self, record: logging.LogRecord) -> bool:
        match record.args:
            case (client, method, str(path), version, status):
                record.args = (client, method, loggable_path(path), version, status)
        return True


def loggable_path(path: str) -> str:
    path = path.partition("?")[0]
    for secret in SECRET_PATHS:
        if path.startswith(secret):
            return f"{secret}…"
    return path
