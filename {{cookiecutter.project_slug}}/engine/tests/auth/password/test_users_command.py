"""`python3 -m app users`."""

import asyncio
import io
import json
import re
import secrets
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from typing import TypeVar

import pytest

from dev import __main__ as cli
from engine.auth.password.accounts import Accounts
from engine.auth.password.rows import user_id_of
from engine.auth.sessions.sessions import Sessions, Ticket
from engine.context.request_context import RequestContext
from engine.database.database import Database
from engine.operate.commands import users as users_command

PASSWORD = "correct horse staples"  # noqa: S105
ADDRESS = "192.0.2.1"

T = TypeVar("T")


@pytest.fixture(autouse=True)
def _database(monkeypatch: pytest.MonkeyPatch, database_url: str) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)


@pytest.fixture
def name() -> str:
    return f"bert-{secrets.token_hex(6)}"


@pytest.fixture
def users(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    def users(*arguments: str) -> tuple[int, str]:
        code = cli.main(["users", *arguments])
        return code, capsys.readouterr().out

    return users


Users = Callable[..., tuple[int, str]]


def with_database(url: str, act: Callable[[Database], Awaitable[T]]) -> T:
    async def connect_and_act() -> T:
        database = Database(url)
        try:
            return await act(database)
        finally:
            await database.dispose()

    return asyncio.run(connect_and_act())


def sign_in(url: str, name: str, password: str) -> bool:
    async def try_it(database: Database) -> bool:
        try:
            await Accounts(database).sign_in(name, password, ADDRESS)
        except Exception:
            return False
        return True

    return with_database(url, try_it)


def test_add_reads_the_password_from_stdin(
    users: Users, monkeypatch: pytest.MonkeyPatch, database_url: str, name: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert users("add", name.upper(), "--stdin") == (0, f"{name} can sign in.\n")
    assert sign_in(database_url, name, PASSWORD)
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert users("add", name, "--stdin") == (1, f"There is an account {name} already.\n")


def test_add_prompts_for_the_password(
    users: Users, monkeypatch: pytest.MonkeyPatch, database_url: str, name: str
) -> None:
    monkeypatch.setattr("getpass.getpass", lambda _question: PASSWORD)
    assert users("add", name)[0] == 0
    assert sign_in(database_url, name, PASSWORD)


def test_add_generates_and_prints_a_password(users: Users, database_url: str, name: str) -> None:
    code, said = users("add", name, "--generate")
    assert code == 0
    found = re.search(r"Password: (\S{12,})", said)
    assert found
    assert sign_in(database_url, name, found[1])


@pytest.mark.parametrize(
    ("given", "password", "why"),
    [("a", PASSWORD, "A name has"), ("berta", "short", "A password has")],
)
def test_weak_passwords_and_invalid_names_are_refused(
    users: Users, monkeypatch: pytest.MonkeyPatch, given: str, password: str, why: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
    code, said = users("add", given, "--stdin")
    assert code == 1
    assert said.startswith(why)


def test_list_prints_all_accounts(users: Users, name: str) -> None:
    users("add", name, "--generate")
    line = next(line for line in users("list")[1].splitlines() if name in line)
    assert line.split()[1:] == ["active", user_id_of(name), name]
    users("disable", name)
    line = next(line for line in users("list")[1].splitlines() if name in line)
    assert line.split()[1] == "disabled"


def test_list_as_json(users: Users, name: str) -> None:
    users("add", name, "--generate")
    accounts = json.loads(users("list", "--json")[1])
    [account] = [one for one in accounts if one["name"] == name]
    assert account.pop("since")
    assert account == {"state": "active", "user": user_id_of(name), "name": name}


def begin_session(url: str, name: str) -> Ticket:
    return with_database(url, lambda database: Accounts(database).sign_in(name, PASSWORD, ADDRESS))


def has_session(url: str, ticket: Ticket) -> bool:
    async def find(database: Database) -> bool:
        session = await Sessions(database).store.find(ticket.user_id, ticket.session_id)
        return session is not None

    return with_database(url, find)


def test_disable_signs_out_and_enable_allows_sign_in_again(
    users: Users, monkeypatch: pytest.MonkeyPatch, database_url: str, name: str
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    users("add", name, "--stdin")
    ticket = begin_session(database_url, name)
    assert has_session(database_url, ticket)
    assert users("disable", name.upper())[0] == 0
    assert not has_session(database_url, ticket)
    assert not sign_in(database_url, name, PASSWORD)
    assert users("enable", name)[0] == 0
    assert sign_in(database_url, name, PASSWORD)


def test_reset_replaces_the_password_and_signs_out(
    users: Users, monkeypatch: pytest.MonkeyPatch, database_url: str, name: str
) -> None:
    users("add", name, "--generate")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{PASSWORD}\n"))
    assert users("reset", name, "--stdin")[0] == 0
    ticket = begin_session(database_url, name)
    assert has_session(database_url, ticket)
    said = users("reset", name, "--generate")[1]
    assert not has_session(database_url, ticket)
    assert not sign_in(database_url, name, PASSWORD)
    assert sign_in(database_url, name, said.split()[1])


@pytest.mark.parametrize(("answer", "is_deleted"), [("y", True), ("", False)])
def test_delete_asks_for_confirmation(
    users: Users, monkeypatch: pytest.MonkeyPatch, name: str, answer: str, is_deleted: bool
) -> None:
    users("add", name, "--generate")
    monkeypatch.setattr("builtins.input", lambda _question: answer)
    assert users("delete", name)[0] == (0 if is_deleted else 1)
    assert (name in users("list")[1]) is not is_deleted


@pytest.mark.parametrize(
    "action", [("disable",), ("enable",), ("delete", "--yes"), ("reset", "--generate")]
)
def test_an_unknown_name_is_reported(users: Users, name: str, action: tuple[str, ...]) -> None:
    verb, *flags = action
    assert users(verb, name, *flags) == (1, f"There is no account {name}.\n")


@pytest.mark.parametrize(("are_gone", "code"), [(True, 0), (False, 1)])
def test_delete_reports_success_after_the_files_are_deleted(
    users: Users, monkeypatch: pytest.MonkeyPatch, name: str, are_gone: bool, code: int
) -> None:
    discarded: list[str] = []

    class Kept:
        async def of_user(self, user_id: str) -> list[str]:
            assert user_id == user_id_of(name)
            return ["one", "two"]

        async def discard(self, attachment_ids: Sequence[str], context: RequestContext) -> bool:
            discarded.extend(attachment_ids)
            return are_gone

    monkeypatch.setattr(users_command, "attachments_of", lambda *_: nullcontext(Kept()))
    users("add", name, "--generate")
    found, said = users("delete", name, "--yes")
    assert (found, discarded) == (code, ["one", "two"])
    assert ("2 files are not" in said) is not are_gone
    assert name not in users("list")[1]
