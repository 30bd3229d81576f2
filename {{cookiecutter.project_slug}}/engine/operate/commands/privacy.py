"""`python3 -m app privacy`: what is kept of a user, exported or erased."""

import argparse
import json
import os
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.operate.ask import is_sure
from engine.operate.commands.database import with_database

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from engine.database.database import Database
    from engine.options import Attachments

NOBODY = "Nothing is kept of {user}. The user is named by the id that `python3 -m app usage` shows."


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Any:
    privacy = commands.add_parser(
        "privacy",
        help="export or erase what is kept of a user",
        epilog="example: python3 -m app privacy export ada@example.com --to ada.zip",
    )
    actions = privacy.add_subparsers(dest="action", required=True, metavar="action")
    export = actions.add_parser(
        "export",
        help="write all that is kept of a user to an archive",
        epilog="example: python3 -m app privacy export ada@example.com --to ada.zip",
    )
    export.add_argument("--to", type=Path, metavar="FILE", help="default: USER.zip, here")
    erase = actions.add_parser(
        "erase",
        help="delete all that is kept of a user, at once; the id does not come back",
        epilog="example: python3 -m app privacy erase ada@example.com --yes",
    )
    erase.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    readmit = actions.add_parser(
        "readmit",
        help="let an erased user come back, as a new one",
        epilog="example: python3 -m app privacy readmit ada@example.com",
    )
    for action in (export, erase, readmit):
        action.add_argument("user", help="a user's id, or the name of an account")
        action.add_argument("--json", action="store_true", help="print the result as JSON")
    return privacy


def run(options: argparse.Namespace) -> int:
    question = "Erase {}, with all conversations, for good?"
    if options.action == "erase" and not (options.yes or is_sure(question.format(options.user))):
        print("Nothing was erased.")
        return 1
    return with_database(lambda database: _ACTIONS[options.action](database, options))


async def _export(database: "Database", options: argparse.Namespace) -> int:
    from engine.operate.privacy.export import export, file_name

    user_id = await _user_id(options, database)
    target: Path = options.to or Path(f"{file_name(options.user)}.zip")
    async with attachments_of(options.application, database) as attachments:
        count = await export(database, user_id, target, attachments)
    if not count:
        os.unlink(target)
        print(NOBODY.format(user=options.user))
        return 1
    if options.json:
        print(json.dumps({"user": user_id, "archive": str(target), "files": count}))
    else:
        print(f"{target}: {count} files")
    return 0


async def _erase(database: "Database", options: argparse.Namespace) -> int:
    from engine.http.audit import record
    from engine.http.logs import configure_logging
    from engine.operate.privacy.erase import erase

    configure_logging("WARNING")
    user_id = await _user_id(options, database)
    async with attachments_of(options.application, database) as attachments:
        erased = await erase(database, user_id, attachments)
    record("user erased")
    if options.json:
        print(json.dumps({"rows": erased.rows, "files": erased.files}))
    elif erased.rows:
        print(f"{options.user} is erased: {erased.rows} rows. The id does not come back.")
    else:
        print(f"There were no rows of {options.user}. The id does not come back.")
    if not erased.files:
        print("Some files could not be deleted: their storage is not reachable. Repeat this.")
    return 0 if erased.files else 1


async def _readmit(database: "Database", options: argparse.Namespace) -> int:
    from engine.operate.privacy.erase import readmit

    is_done = await readmit(database, await _user_id(options, database))
    if options.json:
        print(json.dumps({"readmitted": is_done}))
    elif is_done:
        print(f"{options.user} can come back, as a new user.")
    else:
        print(f"{options.user} was not erased.")
    return 0 if is_done else 1


_ACTIONS: dict[str, Callable[["Database", argparse.Namespace], Awaitable[int]]] = {
    "export": _export,
    "erase": _erase,
    "readmit": _readmit,
}


async def _user_id(options: argparse.Namespace, database: "Database") -> str:
    """The user with this id, if there is one or was; else the one whose account has this name."""
    from engine.database.tables import import_rows
    from engine.operate.privacy.erase import is_known
    from engine.settings.settings import Settings

    import_rows(options.application)
    if await is_known(database, options.user):
        return str(options.user)
    sign_in = import_module(f"{options.application}.auth").sign_in
    user_id: str = sign_in(Settings(), database).user_id_of(options.user)
    return user_id


@asynccontextmanager
async def attachments_of(
    application: str, database: "Database"
) -> "AsyncIterator[Attachments | None]":
    """Those of the application's module `attachments`, if there is one."""
    from engine.settings.settings import Settings

    name = f"{application}.attachments"
    if find_spec(name) is None:
        yield None
        return
    built: Attachments = import_module(name).attachments(Settings(), database, [])
    try:
        yield built
    finally:
        await built.close()
