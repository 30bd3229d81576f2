"""The reason of an exception in words that cannot hold what people or models said.

An exception's message may quote the request: a model's server repeats the input that it refuses, a
database the row, a tool its arguments. The reason consists of what cannot: classes, codes, names of
parameters and constraints, the operating system's words, and messages of model servers whose code
says that they are about the operator's account, model or settings.
"""

import os
import re
from collections.abc import Iterator
from socket import gaierror
from typing import Any

# Error codes of models' servers whose messages consist of names and numbers of the operator.
TOLD_CODES = {
    "account_deactivated",
    "billing_hard_limit_reached",
    "billing_not_active",
    "context_length_exceeded",
    "deploymentnotfound",
    "insufficient_quota",
    "missing_required_parameter",
    "model_not_found",
    "rate_limit_exceeded",
    "unknown_parameter",
    "unsupported_parameter",
    "unsupported_value",
}
# The parameters that hold what people and models said.
TEXTS = ("input", "instructions", "messages", "prompt", "tools")

# The attributes of exceptions that are named: of models' servers, of TLS, of PostgreSQL.
NAMED = {
    "code": "code",
    "kind": "type",
    "type": "type",
    "param": "parameter",
    "reason": "reason",
    "constraint_name": "constraint",
    "table_name": "table",
    "column_name": "column",
}
# An identifier, and no sentence. A longer one may be a key.
IDENTIFIER = re.compile(r"[A-Za-z_][\w.\[\]-]{0,63}", re.ASCII)
# Keys, tokens and links have no spaces; ordinary words are shorter.
SECRET = re.compile(r"\S*[/=]\S*|\S{20,}|\b(?:sk|pk|key|org|proj)[-_]\S+")
MAX_MESSAGE_CHARS = 300


def reason_of_error(error: BaseException) -> str:
    """`openai.BadRequestError (400, code unsupported_value, parameter temperature): …`"""
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    facts = ", ".join(dict.fromkeys(_facts(error)))
    message = _message(error)
    return name + (f" ({facts})" if facts else "") + (f": {message}" if message else "")


def _facts(error: BaseException) -> Iterator[str]:
    status = _attribute(error, "status_code") or _attribute(error, "sqlstate")
    if isinstance(status, int | str) and str(status).isalnum():
        yield str(status)
    for attribute, name in NAMED.items():
        value = _attribute(error, attribute)
        is_name = isinstance(value, str) and IDENTIFIER.fullmatch(value) is not None
        if is_name or isinstance(value, int):
            yield f"{name} {value}"


def _message(error: BaseException) -> str:
    if isinstance(error, gaierror):
        return str(error.strerror or "")
    if isinstance(error, OSError):
        # The system's words for the number. What the exception says may be anybody's.
        return os.strerror(error.errno) if isinstance(error.errno, int) else ""
    code, parameter = _attribute(error, "code"), _attribute(error, "param")
    if str(code).lower() not in TOLD_CODES or str(parameter or "").startswith(TEXTS):
        return ""
    body = _attribute(error, "body")
    said = body.get("message") if isinstance(body, dict) else next(iter(error.args), "")
    return SECRET.sub("…", str(said))[:MAX_MESSAGE_CHARS].strip()


def _attribute(error: BaseException, name: str) -> Any:
    try:
        return getattr(error, name, None)
    except Exception:  # a property of a library, such as a request that was never made
        return None
