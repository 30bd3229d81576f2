"""The commands of `python3 -m app` for operators, which are available without the package `dev`."""

import argparse
import importlib
from collections.abc import Callable


def main(application: str) -> int:
    """Run the command in `sys.argv`. `application` is the name of the application's package."""
    name = f"python3 -m {application}"
    parser = argparse.ArgumentParser(prog=name, epilog=f"example: {name} doctor")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    add_commands(commands, application)
    options = parser.parse_args()
    return run(lambda: int(options.run(options)))


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", application: str
) -> None:
    """Add the commands that the application's module `commands` lists."""
    for name in importlib.import_module(f"{application}.commands").COMMANDS:
        command = importlib.import_module(name)
        command.add_parser(commands).set_defaults(run=command.run, application=application)


def run(command: Callable[[], int], *errors: type[Exception]) -> int:
    """The exit code of the command; 1 after printing the message of a known error or of `errors`."""
    from pydantic import ValidationError

    from engine.database.migrations import MigrationRefused
    from engine.operate.start import problems
    from engine.settings.env_text import UnreadableEnvFile
    from engine.settings.settings import UnusableSettings

    known: tuple[type[Exception], ...] = (
        *(MigrationRefused, UnreadableEnvFile, UnusableSettings),
        *errors,
    )
    try:
        return command()
    except known as error:
        print(error)
    except ValidationError as error:
        print(*problems(error), sep="\n")
    except KeyboardInterrupt:
        return 130
    return 1
