"""Parses the URL of a database, for every part that connects to one.

The syntax is libpq's. Each parameter is applied, ignored or refused by its name. No error message
repeats the URL, because it may contain a password.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlencode

CONNECT_SECONDS = 10.0
PORT = 5432

_URL = re.compile(
    r"(?P<scheme>[^:/@?#]*)://"
    r"(?:(?P<user>[^:@/?#]*)(?::(?P<password>[^@/?#]*))?@)?"
    r"(?P<hosts>[^@/?#]*)"
    r"(?:/(?P<database>[^@/?#]*))?"
    r"(?:\?(?P<query>[^@#]*))?"
)
_HOST = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%]+\]|[^\[\]:]*)(?::(?P<port>\d*))?")
_SCHEMES = ("postgresql", "postgres", "postgresql+asyncpg")

_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_SESSION_ATTRIBUTES = ("any", "read-write", "read-only", "primary", "standby", "prefer-standby")
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")

# Applied by asyncpg, which reads them as libpq does.
_APPLIED = (
    "sslmode",
    *_FILES,
    "sslpassword",
    "sslnegotiation",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "target_session_attrs",
    "krbsrvname",
    "gsslib",
)
# Sent to the server unchanged.
_SERVER_SETTINGS = ("application_name", "options")
# Accepted and ignored: keep-alive, encryption and authentication options that asyncpg lacks.
# Database providers put them into the URLs that they hand out.
_IGNORED = (
    "channel_binding",
    "gssencmode",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "sslcompression",
    "sslsni",
)
_CONNECTION_PARTS = ("host", "port", "user", "password", "dbname")
_TIMEOUT = "connect_timeout"

_POOLER = "set TRANSACTION_POOLER=true instead"
_POOL_SIZE = "set DATABASE_POOL_SIZE instead"
_SCHEMA = "write options=-csearch_path%3DNAME instead"
_REPLACEMENTS = {
    "pgbouncer": _POOLER,
    "statement_cache_size": _POOLER,
    "prepared_statement_cache_size": _POOLER,
    "connection_limit": _POOL_SIZE,
    "pool_size": _POOL_SIZE,
    "schema": _SCHEMA,
    "currentSchema": _SCHEMA,
    "search_path": _SCHEMA,
}

_ENCODING_HINT = (
    "In a user name or password, @ is written as %40, / as %2F, # as %23, ? as %3F, : as %3A "
    "and % as %25. Or leave the password out and set PGPASSWORD."
)


class InvalidUrl(ValueError):
    """The URL cannot be used. The message gives the reason in one line and leaves the URL out."""


@dataclass(frozen=True)
class DatabaseUrl:
    """A parsed URL. Parts that are None or empty come from PGHOST, PGUSER, PGPASSWORD and so on."""

    hosts: tuple[str, ...]
    ports: tuple[int, ...]
    user: str | None
    password: str | None
    database: str | None
    parameters: Mapping[str, str]

    def __str__(self) -> str:
        """The URL for messages: without the password and the parameters."""
        user = f"{self.user}@" if self.user else ""
        addresses = ",".join(map(_host_and_port, self.hosts, self.ports))
        return f"postgresql://{user}{addresses}/{self.database or ''}"


def parse_url(url: str) -> DatabaseUrl:
    """Parse a URL. Raises `InvalidUrl`."""
    match = _URL.fullmatch(url.strip())
    if match is None:
        raise InvalidUrl(
            f"it is not a valid URL, which looks like postgresql://user:password@host/name. "
            f"{_ENCODING_HINT}"
        )
    if match["scheme"].lower() not in _SCHEMES:
        raise InvalidUrl(
            f"it must be PostgreSQL and begin with postgresql://, not {match['scheme']}://."
        )
    query = _query(match["query"] or "")
    hosts, ports = _hosts(query.get("host") or match["hosts"], query.get("port"))
    return DatabaseUrl(
        hosts,
        ports,
        query.get("user") or unquote(match["user"] or "") or None,
        query.get("password") or unquote(match["password"] or "") or None,
        query.get("dbname") or unquote(match["database"] or "") or None,
        {name: value for name, value in query.items() if name not in _CONNECTION_PARTS},
    )


def checked_url(url: str) -> str:
    """The URL in SQLAlchemy's form, `postgresql+asyncpg://…`. Raises `InvalidUrl`."""
    parse_url(url)
    return f"postgresql+asyncpg://{url.strip().partition('://')[2]}"


def connect_options(url: str, *, seconds: float = CONNECT_SECONDS) -> dict[str, Any]:
    """The arguments of `asyncpg.connect` and `asyncpg.create_pool`. Raises `InvalidUrl`.

    `seconds` is the connection timeout unless the URL has `connect_timeout`.
    """
    parsed = parse_url(url)
    applied = {name: parsed.parameters[name] for name in _APPLIED if name in parsed.parameters}
    server_settings = {
        name: parsed.parameters[name] for name in _SERVER_SETTINGS if name in parsed.parameters
    }
    parts = {
        "host": list(parsed.hosts),
        "port": list(parsed.ports),
        "user": parsed.user,
        "password": parsed.password,
        "database": parsed.database,
    }
    return {
        "dsn": f"postgresql://?{urlencode(applied)}",
        **{name: value for name, value in parts.items() if value},
        "timeout": float(parsed.parameters.get(_TIMEOUT, 0)) or seconds,
        **({"server_settings": server_settings} if server_settings else {}),
    }


def psql_arguments(url: str) -> tuple[str, dict[str, str]]:
    """The URL and the environment variables for libpq's programs, such as psql.

    Passwords are in the environment, because other users of the machine can read a command line.
    """
    parsed = parse_url(url)
    user = f"{quote(parsed.user, safe='')}@" if parsed.user else ""
    addresses = ",".join(
        _host_and_port(quote(host, safe="[]:"), port)
        for host, port in zip(parsed.hosts, parsed.ports, strict=True)
    )
    public = {name: value for name, value in parsed.parameters.items() if name != "sslpassword"}
    query = f"?{urlencode(public, quote_via=quote)}" if public else ""
    database = quote(parsed.database or "", safe="")
    secrets = {"PGPASSWORD": parsed.password} if parsed.password else {}
    return f"postgresql://{user}{addresses}/{database}{query}", secrets


def _query(text: str) -> dict[str, str]:
    """The parameters after the question mark. Raises `InvalidUrl` for an unknown one."""
    values: dict[str, list[str]] = {}
    for pair in filter(None, text.split("&")):
        name, _, value = pair.partition("=")
        values.setdefault("sslmode" if name == "ssl" else name, []).append(unquote(value))
    known = (*_APPLIED, *_SERVER_SETTINGS, *_CONNECTION_PARTS, _TIMEOUT, *_IGNORED)
    for name in values:
        if name not in known:
            fix = _REPLACEMENTS.get(name, f"remove it. Valid parameters are {', '.join(known)}")
            raise InvalidUrl(f"the parameter {_loggable_name(name)} is not supported: {fix}.")
    query = {name: ",".join(several) for name, several in values.items()}
    _check_choice(query, "sslmode", _SSL_MODES)
    _check_choice(query, "target_session_attrs", _SESSION_ATTRIBUTES)
    _check_choice(query, "gssencmode", ("disable", "prefer"))
    if not query.get(_TIMEOUT, "0").isdecimal():
        raise InvalidUrl(f"the parameter {_TIMEOUT} must be a number of seconds.")
    for name in _FILES:
        if name in query and not Path(query[name]).expanduser().is_file():
            raise InvalidUrl(f"the parameter {name} must be the path of an existing file.")
    return query


def _check_choice(query: Mapping[str, str], name: str, choices: Sequence[str]) -> None:
    if name in query and query[name] not in choices:
        raise InvalidUrl(f"the parameter {name} must be one of {', '.join(choices)}.")


def _hosts(text: str, ports: str | None) -> tuple[tuple[str, ...], tuple[int, ...]]:
    if not text:
        return (), tuple(map(_port, (ports or "").split(","))) if ports else ()
    matches = [
        # The folder of a Unix socket may contain any character.
        re.fullmatch(r"(?P<host>/.*)(?P<port>)", host) or _HOST.fullmatch(host)
        for host in map(unquote, text.split(","))
    ]
    if None in matches:
        raise InvalidUrl(f"a host must be NAME or NAME:PORT. {_ENCODING_HINT}")
    found = [(match["host"].strip("[]"), match["port"]) for match in matches if match]
    defaults = (ports or str(PORT)).split(",")
    if len(defaults) == 1:
        defaults *= len(found)
    if len(defaults) != len(found):
        raise InvalidUrl("the parameter port must be one number, or one number for each host.")
    return (
        tuple(host for host, _ in found),
        tuple(_port(port or default) for (_, port), default in zip(found, defaults, strict=True)),
    )


def _port(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 65_536:
        raise InvalidUrl(f"a port must be a number from 1 to 65535. {_ENCODING_HINT}")
    return int(text)


def _host_and_port(host: str, port: int) -> str:
    host = f"[{host}]" if ":" in host else host
    return host if port == PORT else f"{host}:{port}"


def _loggable_name(name: str) -> str:
    """The name of a parameter, unless it may be part of a password."""
    return name if re.fullmatch(r"[A-Za-z_]{1,40}", name) else "after the question mark"
