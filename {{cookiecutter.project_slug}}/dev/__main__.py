"""The commands for development, and the operator's: `python3 -m app --help`.

Started by a Python outside the project's environment, every command but `setup` goes on inside
it, so nothing has to be activated. What a command needs is imported when it runs.
"""

import argparse
import importlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from dev.environment import must_restart, own_environment
from dev.paths import VENV, python_of


def _become(command: list[str]) -> int:
    if os.name != "nt":
        # Signals then reach the command itself.
        os.execve(command[0], command, own_environment())  # noqa: S606
    return subprocess.call(command, env=own_environment())


if sys.version_info < (3, 11):  # noqa: UP036 — whatever `python3` is where this is started
    if python_of(VENV).exists():
        sys.exit(_become([str(python_of(VENV)), "-m", "app", *sys.argv[1:]]))
    sys.exit(f"This project needs Python 3.11 or newer; this is {sys.version.split()[0]}.")

from engine.operate import cli  # noqa: E402 — it needs that Python


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets a stand-in instead of a traceback.
        getattr(stream, "reconfigure", lambda **_: None)(errors="replace")
    if options.command == "setup":
        from dev.setup import setup

        return setup()
    if _belongs_in_venv():
        return _become([str(python_of(VENV)), "-m", "app", *arguments])
    if importlib.util.find_spec("pydantic_settings") is None:
        print("The dependencies are not installed. Run: python3 -m app setup")
        return 1
    return _run(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python3 -m app", epilog="example: python3 -m app dev --port 8080"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    _add(commands, "setup", "environment, .env, database, migrations, smoke test")

    about = "serve with reload; starts and migrates the database"
    dev = _add(commands, "dev", about, "dev --port 8080")
    dev.add_argument("--host", default="127.0.0.1")
    dev.add_argument("--port", type=int, default=8000)

    db = _add(commands, "db", "the development database; a Citus cluster", "db psql")
    actions = db.add_subparsers(dest="action", required=True, metavar="action")
    about = "start it; with DATABASE_URL: see that the database answers"
    _add(actions, "start", about, "db start")
    _add(actions, "stop", "stop it", "db stop")
    _add(actions, "psql", "open a console on the database", "db psql")
    about = "write all of it to a file, for psql on another server"
    _add(actions, "dump", about, "db dump backup.sql").add_argument("file")
    about = "delete the embedded database and all of its data"
    reset = _add(actions, "reset", about, "db reset --yes")
    reset.add_argument("--yes", action="store_true", help="do not ask")
    about = "spread the tables over a Citus cluster"
    distribute = _add(actions, "distribute", about, "db distribute --sql")
    distribute.add_argument("--sql", action="store_true", help="only print the statements")

    cli.add_commands(commands, "app")
    return parser


def _add(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    about: str,
    example: str = "",
) -> argparse.ArgumentParser:
    epilog = f"example: python3 -m app {example or name}"
    return commands.add_parser(name, help=about, epilog=epilog)


def _run(options: argparse.Namespace) -> int:
    from dev.postgres import PostgresError
    from engine.database.server_check import UnusableDatabase

    name, function = _COMMANDS.get(options.command, ("dev.database", "operate"))

    def command() -> int:
        return int(getattr(importlib.import_module(name), function)(options))

    return cli.run(command, PostgresError, UnusableDatabase)


# The operator's commands that development does in its own way are among them.
_COMMANDS = {
    "dev": ("dev.serve", "serve"),
    "smoke": ("dev.smoke", "smoke"),
    "doctor": ("dev.doctor", "doctor"),
    "db": ("dev.database", "db"),
}


def _belongs_in_venv() -> bool:
    """True for a Python outside the project's environment, in another one too."""
    return python_of(VENV).exists() and Path(sys.prefix).resolve() != VENV.resolve()


if __name__ == "__main__":
    if must_restart():
        sys.exit(_become([sys.executable, *sys.orig_argv[1:]]))
    sys.exit(main())
