"""Faults that the embedded database survives, on the real server.

Run as root, these tests cover the two ways round PostgreSQL's refusal of root; run as an
ordinary user, the plain way.
"""

import asyncio
import errno
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from dev import postgres, postgres_programs
from dev.postgres import Postgres, PostgresError, is_alive
from dev.postgres_programs import find_programs, some_account
from engine.settings.database_url import psql_arguments

if sys.platform == "win32":
    pytest.skip("sockets and signals as POSIX has them", allow_module_level=True)

pytestmark = pytest.mark.long

PROJECT = Path(__file__).resolve().parents[2]
IS_ROOT = os.geteuid() == 0
STRANGER = 48_999
START = (
    "import sys; from pathlib import Path; from dev.postgres import Postgres; "
    "print(Postgres(Path(sys.argv[1])).start(), flush=True); "
)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every user may enter (pytest's own are closed to all but one)."""
    with tempfile.TemporaryDirectory(prefix="project-", ignore_cleanup_errors=True) as path:
        os.chmod(path, 0o755)  # noqa: S103 (the point of it)
        yield Path(path)
        for pid_file in Path(path).rglob("postmaster.pid"):
            Postgres(pid_file.parent).stop()


@pytest.fixture(scope="session")
def stopped() -> Iterator[Path]:
    """A database that was made and is not running, to be copied: making one takes a second."""
    with tempfile.TemporaryDirectory(prefix="project-", ignore_cleanup_errors=True) as path:
        os.chmod(path, 0o755)  # noqa: S103 (as above)
        database = Postgres(Path(path, "postgres"))
        database.start()
        database.stop()
        yield database.data_dir


@pytest.fixture
def database(folder: Path, stopped: Path) -> Postgres:
    """A database in `folder` that is not running."""
    subprocess.run(["/bin/cp", "-Rp", stopped, folder / "postgres"], check=True)
    return Postgres(folder / "postgres")


def test_first_start_restart_and_stop(folder: Path) -> None:
    database = Postgres(folder / "data" / "postgres")
    assert not database.is_running()

    url = database.start()

    assert database.is_running()
    assert database.start() == database.url == url
    assert query(url, "SELECT current_user") == "postgres"
    assert query(url, "SHOW server_encoding") == "UTF8"
    assert query(url, "SELECT lower('ÄÉЖ')") == "äéж"
    query(url, "CREATE TABLE kept AS SELECT 42 AS answer")

    pid = server_pid(database)
    database.stop()
    database.stop()

    assert not database.is_running()
    assert not is_alive(pid)
    assert not children_of(pid)
    assert not socket_dir(url).exists()
    with pytest.raises(PostgresError, match="not running"):
        _ = database.url

    assert query(database.start(), "SELECT answer FROM kept") == 42


def test_destroy_leaves_no_data_and_no_server(folder: Path, database: Postgres) -> None:
    database.start()
    pid = server_pid(database)

    database.destroy()
    database.destroy()

    assert not is_alive(pid)
    assert [path.name for path in folder.iterdir()] == ["postgres.lock"]


def test_destroy_spares_what_is_no_database(folder: Path) -> None:
    (folder / "thesis.txt").write_text("years of work")
    with pytest.raises(PostgresError, match="left alone"):
        Postgres(folder).destroy()
    with pytest.raises(PostgresError, match="no database"):
        Postgres(folder).start()
    assert (folder / "thesis.txt").read_text() == "years of work"


def test_two_programs_at_once_on_an_empty_directory(folder: Path) -> None:
    programs = [program(folder / "postgres") for _ in range(3)]
    urls = {started.communicate(timeout=300)[0].strip() for started in programs}

    assert [started.returncode for started in programs] == [0, 0, 0]
    assert len(urls) == 1
    assert query(urls.pop(), "SELECT 1") == 1


def test_the_program_is_killed(database: Postgres) -> None:
    killed, url = killed_program(database.data_dir)
    pid = server_pid(database)

    assert database.start() == url
    assert server_pid(database) == pid
    assert query(url, "SELECT 1") == 1
    database.stop()
    assert not is_alive(pid)
    assert killed.returncode == -signal.SIGKILL


def test_the_program_is_killed_while_it_makes_the_database(folder: Path) -> None:
    started = program(folder / "postgres")
    wait_for(lambda: any(folder.glob(".postgres-new-*/data/base")))
    started.kill()
    started.communicate()

    assert query(Postgres(folder / "postgres").start(), "SELECT 1") == 1
    assert not list(folder.glob(".postgres-new-*"))


def test_program_and_server_are_killed(database: Postgres) -> None:
    _, url = killed_program(database.data_dir)
    query(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    pid = kill_server(database)

    assert query(database.start(), "SELECT answer FROM kept") == 42
    assert server_pid(database) != pid


def test_the_server_is_killed_under_an_open_connection(database: Postgres) -> None:
    database.start()
    with subprocess.Popen(
        [*psql(database), "--quiet"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as console:
        kill_server(database)
        assert query(database.start(), "SELECT 1") == 1
        console.terminate()


@pytest.mark.parametrize("action", ["start", "stop"])
def test_a_stranger_has_the_servers_number(database: Postgres, action: str) -> None:
    url = database.start()
    pid = kill_server(database)
    # Of the same user, so that signals would reach it.
    stranger = subprocess.Popen(["/bin/sleep", "60"], user=database.data_dir.stat().st_uid)
    for file in (
        database.data_dir / "postmaster.pid",
        socket_dir(url) / ".s.PGSQL.5432.lock",
    ):
        file.write_text(file.read_text().replace(str(pid), str(stranger.pid), 1))
    try:
        assert not database.is_running()
        getattr(database, action)()
        assert database.is_running() is (action == "start")
        assert action != "start" or query(database.url, "SELECT 1") == 1
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_copied_folder_does_not_lead_to_the_originals_server(
    folder: Path, database: Postgres
) -> None:
    copy = Postgres(folder / "copy")
    database.start()
    copy.data_dir.mkdir()
    shutil.copy(database.data_dir / "postmaster.pid", copy.data_dir)

    assert not copy.is_running()
    copy.stop()

    assert database.is_running()


def test_a_project_moved_while_its_server_runs(folder: Path, database: Postgres) -> None:
    (folder / "before").mkdir()
    database.data_dir.rename(folder / "before" / "postgres")
    url = Postgres(folder / "before" / "postgres").start()
    os.rename(folder / "before", folder / "after")

    moved = Postgres(folder / "after" / "postgres")

    assert moved.start() == url
    moved.stop()
    assert not moved.is_running()
    assert query(moved.start(), "SELECT 1") == 1


def test_the_socket_was_cleaned_away(database: Postgres) -> None:
    shutil.rmtree(socket_dir(database.start()))
    assert not database.is_running()
    assert query(database.start(), "SELECT 1") == 1


@pytest.mark.parametrize("name", ["with space & $HOME 'quotes' \"äöü Жé 数\"", "x" * 165])
def test_any_path(folder: Path, name: str) -> None:
    # 165 characters in all; a name of its own may have 255 bytes.
    name = name[: 165 - len(str(folder)) - len("//postgres")] if set(name) == {"x"} else name
    database = Postgres(folder / name / "postgres")
    assert query(database.start(), "SELECT 1") == 1
    done = subprocess.run([*psql(database), "-Atc", "SELECT 1"], capture_output=True)
    assert done.stdout == b"1\n"
    database.stop()
    assert query(database.start(), "SELECT 1") == 1


def test_no_usable_locale_and_a_misleading_environment(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANG", "LC_ALL", "LC_CTYPE", "LC_MESSAGES"):
        monkeypatch.setenv(name, "xx_XX.UTF-8")
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("PGPORT", "1")
    monkeypatch.setenv("PGDATA", "/nowhere")
    monkeypatch.setattr(postgres_programs, "LOCALES", ("xx_XX.UTF-8", "C"))
    url = Postgres(folder / "postgres").start()
    assert query(url, "SELECT lower('ÄÉЖ')") == "äéж"
    assert query(url, "SHOW timezone") == "UTC"


@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_nobody_else_can_connect_and_no_directory_changes(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    database = Postgres(folder / "postgres")
    before = {path: path.stat() for path in database.data_dir.parents}

    url = database.start()

    for path, was in before.items():
        now = path.stat()
        assert (now.st_mode, now.st_uid, now.st_gid) == (was.st_mode, was.st_uid, was.st_gid)
    for path in (socket_dir(url), database.data_dir):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert query(url, "SHOW listen_addresses") == ""
    assert query(url, "SHOW unix_socket_permissions") == "0700"
    if IS_ROOT:
        address = str(socket_dir(url) / ".s.PGSQL.5432")
        assert connects(address, uid=database.data_dir.stat().st_uid)
        assert not connects(address, uid=STRANGER)
        assert not connects(address, uid=some_account())
    else:
        assert socket_dir(url).stat().st_uid == database.data_dir.stat().st_uid == os.geteuid()


def test_a_socket_directory_laid_out_by_somebody_else_is_refused(
    folder: Path, database: Postgres
) -> None:
    trap = socket_dir(database.start())
    owner = trap.stat().st_uid
    database.stop()

    trap.mkdir()
    trap.chmod(0o777)
    os.chown(trap, owner, -1)
    assert_refused(database)
    if IS_ROOT:
        trap.chmod(0o700)
        os.chown(trap, STRANGER, -1)
        assert_refused(database)
    trap.rename(folder / "trap")
    os.chown(folder / "trap", owner, -1)
    (folder / "trap").chmod(0o700)
    trap.symlink_to(folder / "trap")
    assert_refused(database)

    trap.unlink()
    assert query(database.start(), "SELECT 1") == 1


def test_neither_way_round_root_is_open(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.chmod(0o700)
    monkeypatch.setenv("PATH", "/nowhere")  # no `unshare`
    monkeypatch.setattr(postgres_programs, "has_account", lambda uid: False)
    with pytest.raises(PostgresError, match="DATABASE_URL") as refused:
        Postgres(folder / "postgres").start()
    assert "does not run as root" in str(refused.value)
    assert not (folder / "postgres").exists()


def test_a_user_without_an_account(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_programs, "has_account", lambda uid: False)
    try:
        url = Postgres(folder / "postgres").start()
    except PostgresError as refused:  # where user namespaces are forbidden
        assert "DATABASE_URL" in str(refused)  # noqa: PT017
    else:
        assert query(url, "SELECT 1") == 1


def test_no_programs_for_this_machine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres_programs, "find_spec", lambda name: None)
    monkeypatch.setattr(postgres_programs, "SYSTEM_PROGRAMS", folder)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PostgresError, match=r"app setup.*DATABASE_URL"):
        Postgres(folder / "postgres").start()


def test_what_initdb_says_is_passed_on(folder: Path) -> None:
    bin_dir = folder / "bin"
    bin_dir.mkdir()
    for name, line in (("initdb", "echo No space left on device >&2; exit 1"), ("postgres", ":")):
        (bin_dir / name).write_text(f"#!/bin/sh\n{line}\n")
        (bin_dir / name).chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "find_programs", lambda: bin_dir)
        with pytest.raises(PostgresError, match=r"(?s)No space left.*The disk is full"):
            Postgres(folder / "postgres").start()
    assert not (folder / "postgres").exists()


def test_what_the_server_says_is_passed_on(database: Postgres) -> None:
    database.start()
    database.stop()
    (database.data_dir / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(PostgresError, match=r"(?s)incompatible.*db reset"):
        database.start()


def test_a_read_only_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(PostgresError, match="move the project where you can write"):
        Postgres(folder / "postgres").start()


def assert_refused(database: Postgres) -> None:
    with pytest.raises(PostgresError, match="somebody else may have made it"):
        database.start()
    assert not database.is_running()


def query(url: str, sql: str) -> object:
    async def run() -> object:
        engine = create_async_engine(url)
        try:
            async with engine.begin() as connection:
                result = await connection.execute(text(sql))
                return result.scalar() if result.returns_rows else None
        finally:
            await engine.dispose()

    return asyncio.run(run())


def program(data_dir: Path, then: str = "") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START + then, str(data_dir)],
        cwd=PROJECT,
        stdout=subprocess.PIPE,
        text=True,
    )


def killed_program(data_dir: Path) -> tuple[subprocess.Popen[str], str]:
    """A program that started the server and was then killed; and the URL that it was given."""
    started = program(data_dir, then="import time; time.sleep(60)")
    assert started.stdout
    url = started.stdout.readline().strip()
    started.kill()
    started.communicate()
    return started, url


def psql(database: Postgres) -> list[str]:
    return [str(find_programs() / "psql"), psql_arguments(database.url)[0]]


def server_pid(database: Postgres) -> int:
    return int((database.data_dir / "postmaster.pid").read_text().split()[0])


def kill_server(database: Postgres) -> int:
    pid = server_pid(database)
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not is_alive(pid))
    return pid


def socket_dir(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


def children_of(pid: int) -> list[str]:
    ps = ["ps", "-A", "-o", "ppid="]
    listed = subprocess.run(ps, capture_output=True, text=True, check=True).stdout.split()
    return [parent for parent in listed if int(parent) == pid]


def connects(address: str, *, uid: int | None) -> bool:
    assert uid is not None
    """A fork, not a new program: another user may not be able to enter where Python lives."""
    if child := os.fork():
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        assert code in (0, errno.EACCES)
        return code == 0
    outcome = errno.EPERM
    try:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
        outcome = socket.socket(socket.AF_UNIX).connect_ex(address)
    finally:
        os._exit(outcome)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)
