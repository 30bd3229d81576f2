"""A project in use: its chat over HTTP, and every row of its tables."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx2
from conftest import BakedProject
from serving import CREDENTIALS, answers, free_port, served

# The database of `.env`, or the embedded one, which is started; in projects of every version.
PLACE = """
from importlib import import_module
from importlib.util import find_spec
dev, settings = ("dev", "engine.settings.settings") if find_spec("dev") else ("app.dev", "app.config")
given = import_module(settings).Settings().database_url
folder = import_module(f"{dev}.paths").POSTGRES_DIR
print(given or import_module(f"{dev}.postgres").Postgres(folder).start())
"""
ASK = """
import asyncio, asyncpg, json, sys
from sqlalchemy.engine import make_url

async def ask(url, *statements):
    connection = await asyncpg.connect(
        host=url.host or url.query["host"],
        port=url.port or int(url.query["port"]),
        user=url.username,
        password=url.password,
        database=url.database,
    )
    rows = [row[0] for one in statements for row in await connection.fetch(one)]
    await connection.close()
    print(json.dumps(rows, default=str))

asyncio.run(ask(make_url(sys.argv[1]), *sys.argv[2:]))
"""
NAMES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
COLUMNS = (
    "SELECT json_agg(json_build_array(column_name, data_type) ORDER BY ordinal_position)::text"
    " FROM information_schema.columns WHERE table_name = '{}' AND is_identity = 'NO'"
)
# Rows may come before those that they refer to.
IN_ANY_ORDER = "SET session_replication_role = replica"
USER = "ada"
# A file to attach: a PNG of one pixel.
PICTURE = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010806000000"
    "1f15c4890000000d49444154789c6360606060000000050001a5f645400000000049454e44ae426082"
)
ERASED = "erased:"
COUNTS = ("_visitor_use", "_sign_in_attempts")

Row = dict[str, Any]
Content = dict[str, list[Row]]


def place_of(project: BakedProject) -> str:
    """The URL of the project's database."""
    return project.run("python", "-c", PLACE).splitlines()[-1]


def sql(project: BakedProject, *statements: str) -> list[Any]:
    """The first column of every row."""
    asked = project.run("python", "-c", ASK, place_of(project), *statements)
    rows: list[Any] = json.loads(asked.splitlines()[-1])
    return rows


def content(project: BakedProject) -> Content:
    """Every row of every table but the version table."""
    tables = [name for name in sql(project, NAMES) if not name.endswith("alembic_version")]
    asked = [f"SELECT coalesce(json_agg(t), '[]')::text FROM {table} t" for table in tables]  # noqa: S608
    return dict(zip(tables, map(json.loads, sql(project, *asked)), strict=True))


def lost(before: Content, now: Content) -> list[tuple[str, Row]]:
    """The rows that are not there any more with their values, perhaps among columns that are new.

    Counts that the smoke test changes are left out: of erased users, all visitors, and sign-ins.
    """
    return [
        (table, row)
        for table, rows in before.items()
        for row in rows
        if row.get("user_id") != ERASED
        and not table.endswith(COUNTS)
        and not any(row.items() <= other.items() for other in now.get(table, []))
    ]


def fill_empty_tables(project: BakedProject) -> None:
    """Put a row in each table that has none: of the user, thread and item that are there, if any."""
    rows = content(project)
    known = _known(rows)
    empty = [table for table in rows if not rows[table]]
    statements = [IN_ANY_ORDER]
    for table, columns in zip(empty, sql(project, *map(COLUMNS.format, empty)), strict=True):
        values = {
            name: _value(f"{table}.{name}", kind, known) for name, kind in json.loads(columns)
        }
        into = f"INSERT INTO {table} ({', '.join(values)})"
        statements.append(f"{into} VALUES ({', '.join(values.values())})")
    sql(project, *statements)


def _known(rows: Content) -> dict[str, str]:
    [items] = [rows[table] for table in rows if table.endswith("_thread_items")]
    if not items:
        return {"user_id": USER}
    return {name: items[0][name] for name in ("user_id", "thread_id")} | {"item_id": items[0]["id"]}


def _value(column: str, kind: str, known: Mapping[str, str]) -> str:
    name = "user_id" if column.endswith("_users.id") else column.partition(".")[2]
    if name in known:
        return f"'{known[name]}'"
    quoted = {"jsonb": "'{}'", "tsvector": "'word'", "boolean": "true"}
    return quoted.get(kind, "now()" if "timestamp" in kind or kind == "date" else "'1'")


@contextmanager
def chatting(
    project: BakedProject, credentials: dict[str, str] | None = None
) -> Iterator[httpx2.Client]:
    """Serve a project on its database; returns a client with these credentials, or new ones."""
    environment = {"DATABASE_URL": place_of(project), "ATTACHMENT_INLINE_BYTES": "0"}
    placed = replace(project, environment=project.environment | environment)
    if credentials is None:
        [credentials] = json.loads(placed.run("python", "-c", CREDENTIALS).splitlines()[-1])
    port = free_port()
    command = ["uvicorn", "app.main:create_app", "--factory", "--port", str(port)]
    with served(placed, [*command, "--no-access-log", "--log-level", "warning"]):
        assert answers(f"http://127.0.0.1:{port}/readyz")
        with httpx2.Client(
            base_url=f"http://127.0.0.1:{port}", headers=credentials, timeout=120
        ) as client:
            yield client


def send(client: httpx2.Client, type_: str, **params: Any) -> httpx2.Response:
    response = client.post("/chatkit", json={"type": type_, "params": params})
    assert response.status_code == 200, response.text
    return response


def say(client: httpx2.Client, text: str, tool: str | None = None, *attachments: str) -> str:
    """Say it in a new thread, and wait for the answer; returns the thread's id."""
    message = {
        "content": [{"type": "input_text", "text": text}],
        "attachments": list(attachments),
        "inference_options": {"tool_choice": {"id": tool}} if tool else {},
    }
    response = send(client, "threads.create", input=message)
    assert '"assistant_message"' in response.text, response.text
    assert '"type":"error"' not in response.text.replace(" ", ""), response.text
    thread_id: str = re.findall(r"\bthr_\w+", response.text)[0]
    return thread_id


def items(client: httpx2.Client, thread_id: str) -> list[dict[str, Any]]:
    response = send(client, "items.list", thread_id=thread_id, order="asc", limit=100)
    listed: list[dict[str, Any]] = response.json()["data"]
    return listed


def attach(client: httpx2.Client, name: str, data: bytes, mime_type: str) -> dict[str, Any]:
    response = client.post("/attachments", files={"file": (name, data, mime_type)})
    assert response.status_code == 200, response.text
    attachment: dict[str, Any] = response.json()
    return attachment


def fetch(client: httpx2.Client, link: str) -> bytes:
    """The file of a signed link, without cookies, as ChatKit's frame asks for it."""
    response = httpx2.get(client.base_url.join(httpx2.URL(link).path), timeout=60)
    assert response.status_code == 200, response.text
    return response.content
