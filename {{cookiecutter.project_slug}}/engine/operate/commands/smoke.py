"""`python3 -m app smoke`: the application proven over HTTP.

Here it is an instance that runs; in development it may be one that `dev` starts for it.
"""

import argparse
import importlib
import os
from typing import Any


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Any:
    smoke = commands.add_parser(
        "smoke",
        help="prove the application over HTTP",
        epilog="example: python3 -m app smoke --url https://chat.example.com",
    )
    smoke.add_argument("--url", help="an instance that runs; in development one is started without")
    smoke.add_argument(
        "--token",
        action="append",
        default=[],
        help="bearer token for --url; twice, for two users (or SMOKE_TOKENS, comma-separated)",
    )
    smoke.add_argument(
        "--cookie",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="cookies of somebody who is signed in at --url; twice, for two users",
    )
    return smoke


def run(options: argparse.Namespace) -> int:
    from engine.operate.smoke import smoke

    if options.url is None:
        print("Which instance? Give --url, such as --url https://chat.example.com")
        return 1
    return smoke(options.url, credentials(options), ways_to_sign_in(options.application))


def credentials(options: argparse.Namespace) -> list[dict[str, str]]:
    """The request headers of the users that were given."""
    tokens = options.token or [t for t in os.environ.get("SMOKE_TOKENS", "").split(",") if t]
    users = [{"Authorization": f"Bearer {token}"} for token in tokens]
    return users or [{"Cookie": cookie} for cookie in options.cookie]


def checks_of(application: str) -> list[Any]:
    """The modules of more checks."""
    names = importlib.import_module(f"{application}.commands").SMOKE_CHECKS
    return [importlib.import_module(name) for name in names]


def ways_to_sign_in(application: str) -> list[Any]:
    return [module for module in checks_of(application) if hasattr(module, "sign_in")]
