"""Database URLs are parsed in the same way for every part that connects."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.engine import make_url

from engine.auth.credentials import delete_samples
from engine.database.database import EVERYBODY, Database, new_engine
from engine.database.server_check import check_database
from engine.operate import doctor
from engine.operate.commands.migrate import upgrade
from engine.runs.command_listener import CommandListener
from engine.settings.database_url import (
    CONNECT_SECONDS,
    InvalidUrl,
    checked_url,
    connect_options,
    parse_url,
    psql_arguments,
)
from engine.settings.settings import Settings

SECRET = "s3cret"  # noqa: S105 (that it is never shown is tested)


@pytest.mark.parametrize(
    ("given", "used"),
    [
        ("postgres://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        (" postgresql://u:p@h:5433/d\n", "postgresql+asyncpg://u:p@h:5433/d"),
        ("postgresql+asyncpg://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql://u@h/d?sslmode=require", "postgresql+asyncpg://u@h/d?sslmode=require"),
    ],
)
def test_urls_of_database_providers_are_accepted(given: str, used: str) -> None:
    assert checked_url(given) == used


@pytest.mark.parametrize(
    ("url", "options"),
    [
        ("postgresql://u:p%40%2F%23@h/d", {"user": "u", "password": "p@/#", "database": "d"}),
        ("postgresql://h:5433", {"host": ["h"], "port": [5433]}),
        ("postgresql://u@h1,h2:5433/d", {"host": ["h1", "h2"], "port": [5432, 5433]}),
        ("postgresql://u@h1,h2/d?port=6000", {"host": ["h1", "h2"], "port": [6000, 6000]}),
        ("postgresql:///d?host=h1:1,h2:2", {"host": ["h1", "h2"], "port": [1, 2]}),
        ("postgresql:///d?host=h1:1&host=h2:2", {"host": ["h1", "h2"], "port": [1, 2]}),
        ("postgresql://u@[::1]:5433/d", {"host": ["::1"], "port": [5433]}),
        ("postgresql://u@%2Frun%2Fpg/d", {"host": ["/run/pg"], "port": [5432]}),
        ("postgresql://u@/d?host=/run/pg&port=5433", {"host": ["/run/pg"], "port": [5433]}),
        ("postgresql://h/d?user=u&password=p&dbname=e", {"password": "p", "database": "e"}),
        ("postgresql://h/d?application_name=a", {"server_settings": {"application_name": "a"}}),
        (
            "postgresql://h/d?options=-csearch_path%3Da%20-c%20jit%3Doff",
            {"server_settings": {"options": "-csearch_path=a -c jit=off"}},
        ),
        ("postgresql://h/d?connect_timeout=3", {"timeout": 3.0}),
        ("postgresql://h/d", {"timeout": CONNECT_SECONDS}),
        ("postgresql://h/d?sslmode=require", {"dsn": "postgresql://?sslmode=require"}),
        ("postgresql://h/d?ssl=require", {"dsn": "postgresql://?sslmode=require"}),
        (
            "postgresql://h,i/d?target_session_attrs=read-write",
            {"dsn": "postgresql://?target_session_attrs=read-write"},
        ),
        ("postgresql://h/d?channel_binding=require&keepalives=1", {"dsn": "postgresql://?"}),
    ],
)
def test_parts_and_parameters_are_applied(url: str, options: dict[str, object]) -> None:
    assert connect_options(url).items() >= options.items()


def test_missing_parts_come_from_the_environment() -> None:
    assert not {"host", "user", "password", "database"} & connect_options("postgresql://").keys()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://u@h/d", "must be PostgreSQL"),
        ("u@h", "not a valid URL"),
        (f"postgresql://u:{SECRET}@x@h/d", "%40"),
        (f"postgresql://u:{SECRET}/x@h/d", "%2F"),
        (f"postgresql://u:{SECRET}#x@h/d", "%23"),
        (f"postgresql://u:{SECRET}?x@h/d", "%3F"),
        (f"postgresql://u:{SECRET}", "a host must be NAME"),
        ("postgresql://u@h:70000/d", "a port must be"),
        ("postgresql://u@h,i/d?port=1,2,3", "port must be one number"),
        (
            "postgresql://u@h/d?pgbouncer=true",
            "pgbouncer is not supported: set TRANSACTION_POOLER",
        ),
        ("postgresql://u@h/d?schema=a", "schema is not supported: write options=-csearch_path"),
        ("postgresql://u@h/d?statement_timeout=1", "statement_timeout is not supported"),
        (f"postgresql://u@h/d?{SECRET}", "not supported"),
        ("postgresql://u@h/d?sslmode=on", "sslmode must be one of disable"),
        (
            "postgresql://u@h/d?sslrootcert=system",
            "sslrootcert must be the path of an existing file",
        ),
        ("postgresql://u@h/d?target_session_attrs=master", "target_session_attrs must be one of"),
        ("postgresql://u@h/d?connect_timeout=soon", "connect_timeout must be a number"),
        ("postgresql://u@h/d?gssencmode=require", "gssencmode must be one of"),
    ],
)
def test_invalid_urls_are_refused_in_one_line_without_the_password(url: str, said: str) -> None:
    with pytest.raises(InvalidUrl) as refused:
        checked_url(url)
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize("setting", ["database_url", "database_direct_url"])
def test_settings_refuse_an_invalid_url(setting: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Settings.model_validate({setting: f"postgresql://u:{SECRET}@x@h/d"})
    assert SECRET not in str(refused.value)


def test_messages_and_command_lines_have_no_password() -> None:
    url = f"postgresql://u:{SECRET}@h1,h2:6000/d?sslmode=require&sslpassword={SECRET}"
    assert str(parse_url(url)) == "postgresql://u@h1,h2:6000/d"
    assert psql_arguments(url) == (
        "postgresql://u@h1,h2:6000/d?sslmode=require",
        {"PGPASSWORD": SECRET},
    )


async def _ask_engine(url: str) -> None:
    database = Database(url)
    await database.read(EVERYBODY, text("SELECT 1"))
    await database.dispose()


async def _listen(url: str) -> None:
    listener = CommandListener(url, "tests", lambda *_: None)
    listening = asyncio.create_task(listener._listen())
    await asyncio.wait({listening}, timeout=0.5)
    listening.cancel()
    await asyncio.wait({listening})


async def _distribute(url: str) -> None:
    engine = new_engine(url)
    async with engine.connect():
        pass
    await engine.dispose()


async def _migrations(url: str) -> None:
    assert await doctor._problem(url) is None


PARTS: dict[str, Callable[[str], object] | Callable[[str], Awaitable[object]]] = {
    "the application": _ask_engine,
    "LISTEN": _listen,
    "setup, and the doctor's database": check_database,
    "the doctor's migrations": _migrations,
    "migrate": upgrade,
    "distribute": _distribute,
    "the smoke test": lambda url: asyncio.run(delete_samples(url, [])),
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS.keys())
async def test_every_part_connects_as_the_url_says(
    part: Callable[[str], Any], database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The URL has two hosts, the first of which does not exist."""
    given: list[dict[str, Any]] = []
    connect = asyncpg.connect

    async def record(**options: Any) -> asyncpg.Connection:
        given.append(options)
        return await connect(**options)

    monkeypatch.setattr(asyncpg, "connect", record)
    monkeypatch.setenv("DATABASE_URL", "")
    url = _with_everything(database_url)
    done = part(url) if asyncio.iscoroutinefunction(part) else asyncio.to_thread(part, url)
    await done
    assert given
    for options in given:
        assert options.items() >= {**connect_options(url), "timeout": 7.0}.items()


def _with_everything(url: str) -> str:
    """The URL of the database in libpq's form, with every parameter that needs no certificate."""
    plain = make_url(url)
    host = str(plain.host or plain.query["host"])
    port = plain.port or int(str(plain.query.get("port", 5432)))
    parameters = {
        "port": f"1,{port}",
        "application_name": "a name",
        "options": "-c jit=off",
        "connect_timeout": "7",
        "sslmode": "prefer",
        "target_session_attrs": "read-write",
    }
    query = "&".join(f"{name}={quote(value)}" for name, value in parameters.items())
    user = quote(plain.username or "postgres")
    password = f":{quote(plain.password)}" if plain.password else ""
    hosts = f"127.0.0.1,{quote(host, safe='')}"
    return f"postgresql://{user}{password}@{hosts}/{plain.database}?{query}"


async def test_server_settings_reach_the_server(database_url: str) -> None:
    database = Database(_with_everything(database_url))
    asked = text("SELECT current_setting('application_name'), current_setting('jit')")
    [row] = await database.read(EVERYBODY, asked)
    await database.dispose()
    assert tuple(row) == ("a name", "off")


def test_an_existing_certificate_is_accepted(tmp_path: Path) -> None:
    certificate = tmp_path / "root.crt"
    certificate.touch()
    options = connect_options(f"postgresql://h/d?sslmode=verify-full&sslrootcert={certificate}")
    assert "sslmode=verify-full&sslrootcert=" in options["dsn"]
