"""The operator's commands: what `python -m app` has where there is no `dev`."""

import argparse
import importlib
from collections.abc import Callable


def main(application: str) -> int:
    """Run the command that the process was started with. `application` is the owner's package."""
    parser = argparse.ArgumentParser(prog=f"python -m {application}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    add_commands(commands, application)
    options = parser.parse_args()
    return run(lambda: int(options.run(options)))


def add_commands(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", application: str
) -> None:
    """Those that the application's module `commands` names."""
    for name in importlib.import_module(f"{application}.commands").COMMANDS:
        command = importlib.import_module(name)
        command.add_parser(commands).set_defaults(run=command.run, application=application)


def run(command: Callable[[], int], *refusals: type[Exception]) -> int:
    """The command's exit code. What is refused, or one of `refusals`, is a line and 1."""
    from pydantic import ValidationError

    from engine.database.migrations import MigrationRefused
    from engine.operate.start import problems
    from engine.settings.env_text import UnreadableEnvFile
    from engine.settings.settings import UnusableSettings

    refused: tuple[type[Exception], ...] = (
        *(MigrationRefused, UnreadableEnvFile, UnusableSettings),
        *refusals,
    )
    try:
        return command()
    except refused as error:
        print(error)
    except ValidationError as error:
        print(*problems(error), sep="\n")
    except KeyboardInterrupt:
        return 130
    return 1
