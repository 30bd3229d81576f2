"""The generated project, PostgreSQL and server processes that are measured."""

import asyncio
import hashlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import asyncpg
import psutil
from sqlalchemy.engine import make_url

from benchmarks import rival

REPO = Path(__file__).resolve().parent.parent
# Beside the environment of these tools, which is outside the checkout: `make work`.
BUILT = Path(sys.prefix).parent / "build"
BUILD = BUILT / "bench"
PROJECT = BUILD / "project"
# The same with a launcher for other sites.
LAUNCHER_PROJECT = BUILD / "launcher"
POSTGRES = BUILD / "postgres" / "data"
POOL_SIZE = 10
READY_SECONDS = 60

PROJECT_SERVER = "app.main:create_app"
FLOOR_SERVER = "benchmarks.floor:create_app"
RIVAL_SERVER = "benchmarks.rival:create_app"

# Limits are disabled, because one machine simulates all users.
SETTINGS = {
    "SECRET_KEY": "a secret that only the benchmark knows, and long enough",
    "DATABASE_POOL_SIZE": str(POOL_SIZE),
    "LOG_LEVEL": "WARNING",
    "TURNS_PER_MINUTE": "1000000",
    "RUNNING_ANSWERS_PER_USER": "10000",
    "ANSWERS_PER_PROCESS": "10000",
    "TOKENS_PER_DAY": "0",
    # One address plays all of them.
    "ADDRESS_TURNS_PER_MINUTE": "100000",
    "ADDRESS_RUNNING_ANSWERS": "100000",
    "ADDRESS_TOKENS_PER_DAY": "1000000000000",
    "VISITORS_TURNS_PER_MINUTE": "100000",
    "VISITORS_TOKENS_PER_DAY": "1000000000000",
}

_START = """
import sys
from pathlib import Path
from dev.postgres import Postgres
print(Postgres(Path(sys.argv[1])).start())
"""
_STOP = """
import sys
from pathlib import Path
from dev.postgres import Postgres
Postgres(Path(sys.argv[1])).stop()
"""
_MIGRATE = """
import sys
from engine.operate.commands.migrate import upgrade
upgrade(sys.argv[1])
"""
_BUNDLE = """
import sys
from dev.page import bundle_page
from dev.steps import Progress
print("page:", bundle_page(Progress("page", sys.stderr)))
"""
_SIGN_IN = """
import asyncio, json, sys
from app.auth import sign_in
from engine.database.database import Database
from engine.settings.settings import Settings
async def headers():
    database = Database("postgresql+asyncpg://nobody@127.0.0.1/none")  # is not asked
    authenticator = sign_in(Settings(), database)
    return [await authenticator.sample_credentials(user) for user in json.load(sys.stdin)]
print(json.dumps(asyncio.run(headers())))
"""


@dataclass(frozen=True)
class Server:
    """A server process that is ready, and the time until it was."""

    port: int
    pid: int
    ready_seconds: float

    def resident_bytes(self) -> int:
        resident: int = psutil.Process(self.pid).memory_info().rss
        return resident

    def processor_seconds(self) -> float:
        """The CPU seconds of the process so far, in user mode and in the kernel."""
        times = psutil.Process(self.pid).cpu_times()
        seconds: float = times.user + times.system
        return seconds


def allow_many_files() -> None:
    """Raise the limit of open files: a thousand streams are two thousand sockets."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 16_384 if hard == resource.RLIM_INFINITY else min(16_384, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def render_project(project: Path = PROJECT, **answers: str) -> None:
    """Render the project with the default answers or these, without its setup."""
    if project.exists():
        shutil.rmtree(project)
    BUILD.mkdir(parents=True, exist_ok=True)
    template = BUILD / "template"
    if template.exists():
        shutil.rmtree(template)
    template.mkdir()
    shutil.copy(REPO / "cookiecutter.json", template)
    for folder in ("hooks", "{{cookiecutter.project_slug}}"):
        shutil.copytree(REPO / folder, template / folder)
    subprocess.run(
        [
            *(sys.executable, "-m", "cookiecutter", str(template), "--no-input"),
            *("--output-dir", str(BUILD), f"project_slug={project.name}", "setup=skip"),
            *(f"{question}={answer}" for question, answer in answers.items()),
        ],
        check=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )


@contextmanager
def postgres() -> Iterator[str]:
    """The project's embedded PostgreSQL; its data are kept, because loading them takes minutes."""
    url = python(_START, str(POSTGRES)).strip()
    try:
        asyncio.run(_execute(url, "ALTER SYSTEM SET max_wal_size = '4GB'"))
        yield url
    finally:
        python(_STOP, str(POSTGRES))


def database_name(kind: str) -> str:
    """Contains a hash of the migrations, so that the data are loaded again after a change."""
    migrations = hashlib.sha256()
    for file in sorted((PROJECT / "engine" / "migrations").rglob("*.py")):
        migrations.update(file.read_bytes())
    return f"bench_{kind}_{migrations.hexdigest()[:8]}"


async def database_exists(url: str, name: str) -> bool:
    found = await _execute(url, "SELECT 1 FROM pg_database WHERE datname = $1", name)
    return bool(found)


async def create_database(url: str, kind: str, name: str) -> str:
    """An empty database at the newest migration; older databases of its kind are dropped."""
    old = "SELECT datname FROM pg_database WHERE starts_with(datname, $1)"
    for row in await _execute(url, old, f"bench_{kind}_"):
        await _execute(url, f'DROP DATABASE "{row["datname"]}" WITH (FORCE)')
    await _execute(url, f'CREATE DATABASE "{name}"')
    await migrate(at_database(url, name))
    return at_database(url, name)


async def copy_database(url: str, name: str) -> str:
    """A copy of the database at that URL, which replaces a database of the same name."""
    await _execute(at_database(url, "postgres"), f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    source = make_url(url).database
    await _execute(at_database(url, "postgres"), f'CREATE DATABASE "{name}" TEMPLATE "{source}"')
    return at_database(url, name)


async def migrate(url: str, **settings: str) -> None:
    await asyncio.to_thread(partial(python, _MIGRATE, url, **settings))


async def rename_database(url: str, name: str, to: str) -> None:
    await _execute(url, f'ALTER DATABASE "{name}" RENAME TO "{to}"')


def at_database(url: str, name: str) -> str:
    return make_url(url).set(database=name).render_as_string(hide_password=False)


async def connect(url: str) -> asyncpg.Connection:
    parsed = make_url(url).set(drivername="postgresql")
    return await asyncpg.connect(parsed.render_as_string(hide_password=False))


async def _execute(url: str, statement: str, *values: object) -> list[asyncpg.Record]:
    connection = await connect(url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(statement, *values)
        return rows
    finally:
        await connection.close()


@contextmanager
def serving(target: str, url: str, project: Path = PROJECT, /, **settings: str) -> Iterator[Server]:
    """Start the application factory `target` with uvicorn in a process, and wait until it is ready."""
    port = _free_port()
    command = [sys.executable, "-m", "uvicorn", target, "--factory", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--ws", "none", "--http", "h11", "--no-access-log"]
    command += ["--log-level", "warning", "--timeout-graceful-shutdown", "1"]
    started = time.perf_counter()
    log = BUILD / f"{target.partition(':')[0]}.log"
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=project,
            env=environment(project, DATABASE_URL=url, **settings),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_until_ready(process, port, log)
        yield Server(port, process.pid, time.perf_counter() - started)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(process: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.01)
    raise RuntimeError(f"a server did not get ready: see {log}")


def python(code: str, *arguments: str, given: str = "", **settings: str) -> str:
    """The output of Python code with the project on its path."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=PROJECT,
        env=environment(**settings),
        input=given,
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return done.stdout


def environment(project: Path = PROJECT, /, **settings: str) -> dict[str, str]:
    """The same environment for all servers, without other variables of this process."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return kept | SETTINGS | {"PYTHONPATH": f"{project}:{REPO}"} | settings


def bundle_page(project: Path = PROJECT) -> None:
    """Make the page's bundle, as setup does."""
    command = [sys.executable, "-c", _BUNDLE]
    subprocess.run(command, cwd=project, env=environment(project), check=True)


def sign_in(user_ids: list[str]) -> list[dict[str, str]]:
    """Headers with the credentials of these users of the generated project."""
    credentials: list[dict[str, str]] = json.loads(
        python(_SIGN_IN, given=json.dumps(user_ids)).splitlines()[-1]
    )
    return credentials


def sign_in_at_rival(user_id: int) -> dict[str, str]:
    signed = rival.user_signer(SETTINGS["SECRET_KEY"]).sign(str(user_id)).decode()
    return {"Cookie": f"{rival.COOKIE}={signed}"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
