"""A project moves from this machine's embedded database to a server. `make matrix` runs it.

Its repository is cloned, and `.env`, attached files and a dump of the database are taken along, as the
project's documentation says.
"""

import os
import re
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from conftest import BakedProject, clean_environment, generate, output_of
from living import (
    PICTURE,
    attach,
    chatting,
    content,
    fetch,
    fill_empty_tables,
    items,
    place_of,
    say,
    sql,
)
from serving import free_port
from test_cruft import commit, git

# A second cluster, with the programs of the first, that is reached by TCP and a password.
START = """
import asyncio, asyncpg, sys
from pathlib import Path
from typing import Any
from dev import postgres
from engine.settings.database_url import connect_options

async def prepare(url, hba, password):
    connection = await asyncpg.connect(**connect_options(url))
    await connection.execute(f"CREATE ROLE chat LOGIN PASSWORD '{password}'")
    await connection.execute("CREATE DATABASE chat OWNER chat")
    await connection.execute("CREATE DATABASE restored OWNER chat")
    hba.write_text("local all postgres trust\\nhost all all 127.0.0.1/32 scram-sha-256\\n")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.close()

folder, port, password = sys.argv[1:]
postgres.SETTINGS |= {"listen_addresses": "127.0.0.1", "port": port}
server = postgres.Postgres(Path(folder))
asyncio.run(prepare(server.start(), server.data_dir / "pg_hba.conf", password))
"""
STOP = """
import sys
from pathlib import Path
from typing import Any
from dev.postgres import Postgres
Postgres(Path(sys.argv[1])).destroy()
"""
PROGRAMS = "from dev.postgres_programs import find_programs; print(find_programs())"
FORM_TOKEN = re.compile(r'name="form_token" type="hidden" value="([0-9a-f]+)"')


def test_a_move_to_a_server(template: Path, tmp_path: Path) -> None:
    answers = ("auth_style=password", "attachments=local", "agent_tools=notes,knowledge")
    project = generate(template, tmp_path / "out", *answers, CHATKIT_SETUP="strict")
    commit(project.path, "made")
    project.run("python", "-m", "app", "db", "start")
    with server(project, tmp_path / "server") as url:
        try:
            move(project, tmp_path / "moved", url)
        finally:
            project.run("python", "-m", "app", "db", "stop")


def move(project: BakedProject, folder: Path, url: str) -> None:
    password = new_account(project, "ada")
    with chatting(project, {}) as client:
        sign_in(client, "ada", password)
        cookies = dict(client.cookies)
        picture = attach(client, "a.png", PICTURE, "image/png")
        thread = say(client, "Remember that our launch is on Friday", "notes", picture["id"])
        said, link = items(client, thread), picture["preview_url"]
    fill_empty_tables(project)
    before = content(project)
    project.run("python", "-m", "app", "db", "dump", str(folder.with_suffix(".sql")))

    psql(project, url, folder.with_suffix(".sql"))
    assert content(placed(project, url)) == before
    moved = set_up_clone(project, folder, url)
    assert place_of(moved).endswith("/chat")

    assert "at the newest migration" in moved.run("python", "-m", "app", "migrate")
    findings = moved.run("python", "-m", "app", "doctor", "--port", "1")
    assert re.search(r"^ok +migrations", findings, re.M)
    assert re.search(r"^ok +database", findings, re.M)
    moved.run("python", "-m", "app", "smoke")
    assert " passed" in moved.run("pytest", "--quiet").splitlines()[-1]

    # This machine's own database is not needed any more.
    project.run("python", "-m", "app", "db", "reset", "--yes")
    with chatting(moved, {}) as client:
        assert fetch(client, link) == PICTURE
        client.cookies.update(cookies)
        assert same(items(client, thread), said)
        say(client, "list my notes", "notes")
    with chatting(moved, {}) as client:
        sign_in(client, "ada", password)
        assert same(items(client, thread), said)

    restored = url.rpartition("/")[0] + "/restored"
    back_up_and_restore(project, url, restored, folder.with_suffix(".dump"))
    assert content(placed(moved, restored)) == content(moved)
    assert sql(placed(moved, restored), "SELECT text FROM chatkit_notes")[0]


@contextmanager
def server(project: BakedProject, folder: Path) -> Iterator[str]:
    """The URL of an empty database of an ordinary role, on a PostgreSQL of its own."""
    port, password = free_port(), secrets.token_hex(8)
    folder.mkdir()
    folder.chmod(0o755)
    data = str(folder / "data")
    try:
        project.run("python", "-c", START, data, str(port), password)
        yield f"postgresql://chat:{password}@127.0.0.1:{port}/chat"
    finally:
        project.run("python", "-c", STOP, data)


def set_up_clone(project: BakedProject, folder: Path, url: str) -> BakedProject:
    """The repository, `.env` with another DATABASE_URL, and attached files; not the database."""
    git(project.path, "clone", "--quiet", str(project.path), str(folder))
    shutil.copytree(project.path / ".data" / "attachments", folder / ".data" / "attachments")
    env = project.text(".env")
    (folder / ".env").write_text(f"{env}\nDATABASE_URL={url}\n", encoding="utf-8")
    said = output_of(sys.executable, "-m", "app", "setup", cwd=folder, env=clean_environment())
    assert "smoke test … ok" in said, said
    return BakedProject(folder)


def psql(project: BakedProject, url: str, file: Path) -> None:
    run(project, "psql", "--quiet", "--set", "ON_ERROR_STOP=1", "--file", str(file), url)


def back_up_and_restore(project: BakedProject, url: str, into: str, file: Path) -> None:
    run(project, "pg_dump", "--format", "custom", "--no-owner", "--file", str(file), url)
    run(project, "pg_restore", "--no-owner", "--exit-on-error", "--dbname", into, str(file))


def run(project: BakedProject, program: str, *words: str) -> None:
    """One of PostgreSQL's own programs, which a machine with a server has."""
    programs = project.run("python", "-c", PROGRAMS).splitlines()[-1]
    output_of(f"{programs}/{program}", *words, env=dict(os.environ))


def placed(project: BakedProject, url: str) -> BakedProject:
    return BakedProject(project.path, environment={"DATABASE_URL": url})


def new_account(project: BakedProject, name: str) -> str:
    return project.run("python", "-m", "app", "users", "add", name, "--generate").split()[-1]


def sign_in(client: httpx2.Client, name: str, password: str) -> None:
    found = FORM_TOKEN.search(client.get("/sign-in").text)
    assert found
    fields = {"name": name, "password": password, "form_token": found[1]}
    assert client.post("/sign-in", data=fields).status_code == 303


def same(items: list[dict[str, Any]], others: list[dict[str, Any]]) -> bool:
    """But for signed links, which name the server's port and the session."""
    return without_links(items) == without_links(others)


def without_links(items: list[dict[str, Any]]) -> str:
    return re.sub(r"http://127\.0\.0\.1:[^']+", "", str(items))
