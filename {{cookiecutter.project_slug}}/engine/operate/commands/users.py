"""`python3 -m app users`: manages accounts."""

import argparse
import getpass
import secrets
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from engine.operate.ask import is_sure
from engine.operate.commands.database import with_database
from engine.operate.commands.privacy import attachments_of
from engine.operate.commands.table import add_formats, print_rows

if TYPE_CHECKING:
    from engine.auth.password.rows import Account, AccountStore
    from engine.database.database import Database

HEADING = ("since", "state", "user", "name")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> Any:
    users = commands.add_parser(
        "users",
        help="the accounts that people sign in with",
        epilog="example: python3 -m app users add ada --generate",
    )
    add_actions(users)
    return users


def add_actions(users: argparse.ArgumentParser) -> None:
    actions = users.add_subparsers(dest="action", required=True, metavar="action")
    for action, description in (
        ("add", "create an account, also while sign-up is closed"),
        ("reset", "set a new password and sign the account out everywhere"),
    ):
        example = f"example: python3 -m app users {action} ada --generate"
        one = actions.add_parser(action, help=description, epilog=example)
        one.add_argument("name")
        source = one.add_mutually_exclusive_group()
        source.add_argument("--generate", action="store_true", help="generate and print a password")
        source.add_argument("--stdin", action="store_true", help="read it from standard input")
    one = actions.add_parser(
        "list", help="list all accounts", epilog="example: python3 -m app users list --json"
    )
    add_formats(one)
    for action, description in (
        ("disable", "sign the account out everywhere and allow no new sign-in"),
        ("enable", "allow sign-in again"),
        ("delete", "delete the account and all data of its user"),
    ):
        example = f"example: python3 -m app users {action} ada"
        one = actions.add_parser(action, help=description, epilog=example)
        one.add_argument("name")
        if action == "delete":
            one.add_argument("--yes", action="store_true", help="do not ask for confirmation")


def run(options: argparse.Namespace) -> int:
    question = "Delete {}, with all conversations?"
    if options.action == "delete" and not (options.yes or is_sure(question.format(options.name))):
        print("Nothing was deleted.")
        return 1

    async def act(database: "Database") -> int:
        from engine.auth.password.rows import AccountStore
        from engine.http.audit import record
        from engine.http.logs import configure_logging

        configure_logging("WARNING")
        code = await _ACTIONS[options.action](AccountStore(database), options)
        if code == 0 and options.action in _EVENTS:
            record(_EVENTS[options.action], user_id=_user_id(options))
        return code

    return with_database(act)


async def _add(accounts: "AccountStore", options: argparse.Namespace) -> int:
    from engine.auth.password.accounts import valid_name

    name = valid_name(options.name)
    password, hashed = await _new_password(options, name)
    if not await accounts.add(name, hashed):
        print(f"There is an account {name} already.")
        return 1
    print(f"{name} can sign in.")
    if options.generate:
        print(f"Password: {password}")
    return 0


async def _reset(accounts: "AccountStore", options: argparse.Namespace) -> int:
    password, hashed = await _new_password(options, options.name)
    is_done = await accounts.reset(_user_id(options), hashed)
    if is_done and options.generate:
        print(f"Password: {password}")
    return _report(is_done, options, "signed out, and signs in with the new password")


async def _list(accounts: "AccountStore", options: argparse.Namespace) -> int:
    rows = [
        (f"{one.created_at:%Y-%m-%d}", _state(one), one.user_id, one.name)
        for one in await accounts.all()
    ]
    if not rows and options.format == "table":
        print("There are no accounts. Add one: python3 -m app users add NAME")
        return 0
    print_rows(HEADING, rows, options.format)
    return 0


def _state(account: "Account") -> str:
    return "disabled" if account.disabled_at else "active"


async def _disable(accounts: "AccountStore", options: argparse.Namespace) -> int:
    return _report(await accounts.disable(_user_id(options)), options, "disabled and signed out")


async def _enable(accounts: "AccountStore", options: argparse.Namespace) -> int:
    return _report(await accounts.enable(_user_id(options)), options, "enabled")


async def _delete(accounts: "AccountStore", options: argparse.Namespace) -> int:
    """Delete the user with all rows and files; 1 if the files could not be deleted."""
    from engine.context.request_context import RequestContext

    user_id = _user_id(options)
    async with attachments_of(options.application, accounts.database) as attachments:
        files = await attachments.of_user(user_id) if attachments else []
        is_done = await accounts.delete(user_id)
        if attachments and not await attachments.discard(files, RequestContext(user_id)):
            print(
                f"{options.name} is deleted, but {len(files)} files are not, because their storage"
                " is not reachable. The application deletes them after ATTACHMENT_ORPHAN_HOURS."
            )
            return 1
    return _report(is_done, options, "deleted")


_ACTIONS: dict[str, Callable[["AccountStore", argparse.Namespace], Awaitable[int]]] = {
    "add": _add,
    "reset": _reset,
    "list": _list,
    "disable": _disable,
    "enable": _enable,
    "delete": _delete,
}


_EVENTS = {
    "add": "account added",
    "reset": "password reset",
    "disable": "account disabled",
    "enable": "account enabled",
    "delete": "account deleted",
}


async def _new_password(options: argparse.Namespace, name: str) -> tuple[str, str]:
    """The new password and its hash. Raises `InvalidRequest` if it is too weak."""
    from engine.auth.password.accounts import Hasher, check_password, normalized_name

    password = _read_password(options)
    check_password(password, normalized_name(name))
    return password, await Hasher().hash(password)


def _read_password(options: argparse.Namespace) -> str:
    """Not from the command line, which other users of the machine can see."""
    if options.generate:
        return secrets.token_urlsafe(12)
    if options.stdin:
        return sys.stdin.readline().rstrip("\r\n")
    return getpass.getpass("Password: ")


def _user_id(options: argparse.Namespace) -> str:
    from engine.auth.password.accounts import normalized_name
    from engine.auth.password.rows import user_id_of

    return user_id_of(normalized_name(options.name))


def _report(is_done: bool, options: argparse.Namespace, state: str) -> int:
    print(f"{options.name} is {state}." if is_done else f"There is no account {options.name}.")
    return 0 if is_done else 1
