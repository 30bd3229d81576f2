"""Removes texts and secrets from spans and log records before they leave the process.

Everything is removed that is not known to be free of what people and models said, of links, codes and
keys: only these attributes leave, and numbers. So a library that records a prompt, an address, a
statement with values or the message of an exception gives nothing away, whoever has set it up.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

# The traceback in a log record, without the exceptions' messages.
TRACEBACK = "chat.traceback"

# Texts that a program made: names, methods, routes with their placeholders, codes.
ALLOWED = {
    TRACEBACK,
    "chat.reason",
    "chat.request",
    "chat.request_id",
    "chat.run_id",
    "chat.status",
    "code.function.name",
    "db.collection.name",
    "db.name",
    "db.namespace",
    "db.system",
    "db.system.name",
    "error.type",
    "exception.type",
    "gen_ai.operation.name",
    "gen_ai.provider.name",
    "gen_ai.request.model",
    "gen_ai.response.model",
    "gen_ai.system",
    "http.method",
    "http.request.method",
    "http.route",
    "http.scheme",
    "network.protocol.name",
    "network.protocol.version",
    "network.transport",
    "url.scheme",
    "user.id",
}
# Those of the owner's own spans: `span.set_attribute("app.tenant", …)`.
OWN = "app."
STATEMENTS = ("db.query.text", "db.statement")
# The libraries whose names of spans are constant, or made of a method and a route.
NAMED = ("engine", "app", "fastapi")
FIRST_WORD = re.compile(r"[\w.]{0,64}", re.ASCII)


class Redaction:
    """`tables` are the names that may be told of a statement."""

    def __init__(self, tables: Iterable[str]) -> None:
        names = "|".join(map(re.escape, sorted(tables, key=len, reverse=True)))
        self._tables = re.compile(rf"\b(?:{names})\b")

    def attributes(self, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
        """The attributes that may leave; of a statement, the tables."""
        given = attributes or {}
        kept = {name: value for name, value in given.items() if _may_leave(name, value)}
        for name in STATEMENTS:
            if tables := sorted(set(self._tables.findall(str(given.get(name, ""))))):
                kept["db.collection.name"] = " ".join(tables)
        return kept


def span_name(name: str, scope: str, attributes: Mapping[str, Any]) -> str:
    """The name, without what may be a path or a text in it."""
    if scope.split(".")[0] in NAMED:
        return name
    route = attributes.get("http.route")
    first = FIRST_WORD.match(name)
    word = first[0] if first else ""
    return f"{word} {route}" if route else word or "span"


def _may_leave(name: str, value: object) -> bool:
    return isinstance(value, bool | int | float) or name in ALLOWED or name.startswith(OWN)
