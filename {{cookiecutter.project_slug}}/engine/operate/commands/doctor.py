"""`python3 -m app doctor`: what is wrong here, and how to mend it."""

import argparse
from typing import Any


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Any:
    doctor = commands.add_parser(
        "doctor",
        help="what is wrong, and how to mend it",
        epilog="example: python3 -m app doctor --port 8080",
    )
    doctor.add_argument("--port", type=int, default=8000, help="of the server on this machine")
    return doctor


def run(options: argparse.Namespace) -> int:
    from engine.operate.doctor import checks_of, examine
    from engine.settings.settings import Settings

    return examine(checks_of(options.application, Settings(), options.port))
